"""The end of a node: what it had of the machine's network and memory is given back.

`down` ends the supervisor (and with it pods and Envoy) and calls `remove_network`; `purge` also
removes what lies on disk and in memory.
"""

import contextlib
import shutil
from pathlib import Path

from stagezero.node.sandbox.bridge import BridgeNetwork
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.launch import SupervisorFailed


async def take_down(root: Path, grace_s: float = 10.0) -> None:
    """End the supervisor of the node below `root` with all it runs, and remove the network."""
    folders = NodeFolders(root)
    with contextlib.suppress(SupervisorFailed):  # it does not run
        await SupervisorClient(folders.supervisor).shut_down(grace_s)
    await remove_network(root)


async def remove_network(root: Path) -> None:
    """Remove the bridge and the network namespaces of the node below `root`, if it has them."""
    network = BridgeNetwork(NodeFolders(root))
    if network.may_exist:
        await network.close()


def purge(root: Path) -> None:
    """Remove everything that a node keeps on disk and in memory; it must have been taken down."""
    shutil.rmtree(NodeFolders(root).memory, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)

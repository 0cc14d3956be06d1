"""Finds out, by trying, how much apart pods can live on this machine, and opens that runtime."""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import stagezero
from stagezero.node.sandbox.bridge import BridgeNetwork
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.host import HostNetwork
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.sandbox.network import Network
from stagezero.node.sandbox.pasta import PastaNetwork
from stagezero.node.sandbox.processes import ProcessRuntime, Surroundings, remembered_sandboxes
from stagezero.node.sandbox.runtime import Isolation, RuntimeInfo
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.protocol import Refused
from stagezero.node.supervisor.spec import Mount, Spec

_TRIAL = "trial/tree"
_TRIAL_LIMIT_S = 5.0


async def open_runtime(
    folders: NodeFolders,
    supervisor: SupervisorClient,
    surroundings: Surroundings | None = None,
    wanted: Isolation | None = None,
) -> ProcessRuntime:
    """Open the best runtime the machine allows, or the one `wanted`; NetworkFailed if it cannot."""
    tree_problem = await _try_own_tree(folders, supervisor)
    network, reason = await _open_network(_candidates(folders, supervisor, wanted), folders)
    if tree_problem:
        reason = "; ".join(part for part in (reason, f"no own file tree: {tree_problem}") if part)
    info = RuntimeInfo(network.isolation, not tree_problem, reason)
    given = surroundings or Surroundings()
    surroundings = replace(given, visible=(*_platform_folders(), *given.visible))
    return ProcessRuntime(folders, supervisor, network, info, surroundings)


def _candidates(
    folders: NodeFolders, supervisor: SupervisorClient, wanted: Isolation | None
) -> list[Network]:
    networks: list[Network] = [
        BridgeNetwork(folders),
        PastaNetwork(folders, supervisor),
        HostNetwork(),
    ]
    return [network for network in networks if wanted in (None, network.isolation)]


async def _open_network(networks: Sequence[Network], folders: NodeFolders) -> tuple[Network, str]:
    """The first network that opens, and why the ones before it do not."""
    known = remembered_sandboxes(folders)
    problems = []
    for network in networks:
        try:
            await network.open([s for s in known if s.isolation is network.isolation])
        except NetworkFailed as error:
            problems.append(f"no {network.isolation.value}: {error}")
        else:
            return network, "; ".join(problems)
    raise NetworkFailed("; ".join(problems))


async def _try_own_tree(folders: NodeFolders, supervisor: SupervisorClient) -> str:
    """Run /bin/true in a tree of its own; returns why it cannot be, or nothing."""
    spec = Spec(
        id=_TRIAL,
        argv=("true",),
        log=str(folders.supervisor / "trial.log"),
        env={"PATH": "/usr/bin:/bin"},
        user="" if os.geteuid() == 0 else "new",
        mounts=(Mount("/mnt/stagezero-trial", kind="tmpfs"),),
    )
    try:
        await supervisor.start_process(spec)
    except Refused as error:
        return error.message
    async with asyncio.timeout(_TRIAL_LIMIT_S):
        await supervisor.ended(_TRIAL)
    await supervisor.forget(_TRIAL)
    return ""


def _platform_folders() -> tuple[Path, ...]:
    """What every environment's interpreter, and the platform's own, are made of."""
    package = Path(stagezero.__file__).resolve().parent.parent
    return (Path(sys.prefix), Path(sys.base_prefix), package)

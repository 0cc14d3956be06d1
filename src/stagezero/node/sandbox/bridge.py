"""Pods on a bridge, as root: each has a network namespace and an address of the instance's /24.

Several instances on one machine must not meet: the bridge and the namespaces carry the instance's
id, and the subnet is the first of 10.244.0.0/16 that nobody uses, chosen under a machine-wide lock
and remembered. A pod's namespace is a named one, so it needs no process to hold it and survives us.
One namespace is always made in advance, for a pod should not wait for three runs of `ip`.
"""

import contextlib
import ipaddress
import json
import logging
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from stagezero.kit.filelock import FileLock
from stagezero.kit.tasks import TaskOwner
from stagezero.node.sandbox import ip_command
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.sandbox.network import Attachment
from stagezero.node.sandbox.runtime import Isolation, Sandbox

log = logging.getLogger(__name__)

POOL = ipaddress.IPv4Network("10.244.0.0/16")
_NAMESPACES = Path("/run/netns")
_MACHINE_LOCK = Path("/run/stagezero-network.lock")


class BridgeNetwork:
    """Veth pairs between named network namespaces and one bridge."""

    isolation = Isolation.BRIDGE

    def __init__(self, folders: NodeFolders) -> None:
        self._folders = folders
        self._bridge = f"sz{folders.instance}"
        self._subnet = POOL
        self._taken: set[str] = set()
        self._routes: list[str] = []
        self._spares: list[Attachment] = []
        self._tasks = TaskOwner("network")

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge: what pods reach it by."""
        return str(self._subnet[1])

    @property
    def nameservers(self) -> tuple[str, ...]:
        """The machine, on the bridge: if nobody answers there, a question fails at once."""
        return (self.gateway,)

    async def open(self, known: Sequence[Sandbox]) -> None:
        """Create the bridge, or find it; try once whether a pod could be attached."""
        if os.geteuid() != 0:
            raise NetworkFailed("only root may create network namespaces and a bridge")
        if not ip_command.is_installed():
            raise NetworkFailed("the command `ip` (package iproute2) is not installed")
        async with FileLock(_MACHINE_LOCK):
            await self._open_bridge()
        self._routes = await self._ways_out()
        mine = [sandbox for sandbox in known if self.is_attached(sandbox)]
        self._taken = {sandbox.ip for sandbox in mine}
        await self._remove_all_but({sandbox.net for sandbox in mine})
        try:
            self._spares.append(await self._make())
        except NetworkFailed:
            await self.close()
            raise

    async def _open_bridge(self) -> None:
        links = {link["ifname"] for link in await ip_command.query("link")}
        remembered = _read_subnet(self._folders.network)
        if self._bridge in links and remembered is not None:
            self._subnet = remembered
            return
        used = _networks(await ip_command.query("addr"), await ip_command.query("route"))
        self._subnet = choose_subnet(used, remembered)
        orders = [f"link add {self._bridge} type bridge"] if self._bridge not in links else []
        await ip_command.batch(
            [
                *orders,
                f"addr replace {self.gateway}/{self._subnet.prefixlen} dev {self._bridge}",
                f"link set {self._bridge} up",
            ]
        )
        self._folders.root.mkdir(parents=True, exist_ok=True)
        self._folders.network.write_text(json.dumps({"subnet": str(self._subnet)}))

    async def _ways_out(self) -> list[str]:
        """Routes of a pod: to all the machine's addresses, and nowhere else.

        Nobody translates a pod's address for the world outside, so packets to elsewhere would
        vanish and calls hang; without a route they fail at once.
        """
        addresses = {
            str(info.get("local"))
            for link in await ip_command.query("-4", "addr")
            for info in link.get("addr_info", [])
            if info.get("scope") == "global"
        }
        mine = sorted(a for a in addresses if ipaddress.ip_address(a) not in self._subnet)
        return [f"route add {address}/32 via {self.gateway}" for address in mine]

    @property
    def may_exist(self) -> bool:
        """Whether this instance may have a bridge that somebody must remove."""
        return os.geteuid() == 0 and ip_command.is_installed() and self._folders.network.exists()

    async def attach(self, uid: str, ports: Sequence[int]) -> Attachment:
        """Hand out a namespace that is ready, and get the next one ready; make one if none is."""
        found = self._spares.pop() if self._spares else await self._make()
        if not self._spares:
            self._tasks.start(self._make_spare(), "spare")
        return found

    async def _make_spare(self) -> None:
        try:
            self._spares.append(await self._make())
        except NetworkFailed as error:
            log.warning("no network namespace in reserve: %s", error)

    async def _make(self) -> Attachment:
        """Make a namespace with one end of a veth pair in it, the other end on the bridge."""
        ip = self._free_address()
        self._taken.add(ip)
        name = f"{self._bridge}-{ip.rpartition('.')[2]}"
        try:
            await ip_command.batch(
                [
                    f"netns add {name}",
                    f"link add {self._veth(ip)} type veth peer name eth0 netns {name}",
                    f"link set {self._veth(ip)} master {self._bridge} up",
                ]
            )
            await ip_command.batch(
                [
                    f"addr add {ip}/{self._subnet.prefixlen} dev eth0",
                    "link set lo up",
                    "link set eth0 up",
                    *self._routes,
                ],
                namespace=name,
            )
        except NetworkFailed:
            await self._remove(str(_NAMESPACES / name), ip)
            raise
        return Attachment(ip, net=str(_NAMESPACES / name))

    def is_attached(self, sandbox: Sandbox) -> bool:
        """Whether the namespace's file is there: a reboot empties the folder."""
        return bool(sandbox.net) and os.path.exists(sandbox.net)

    async def detach(self, sandbox: Sandbox) -> None:
        """Remove the namespace, after whatever a pod left running in it."""
        await self._remove(sandbox.net, sandbox.ip)

    async def _remove(self, net: str, ip: str) -> None:
        name = os.path.basename(net)
        for pid in await ip_command.pids_in(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # The veth goes first: deleting the namespace frees it later, when the kernel finds time.
        for order in (f"link del {self._veth(ip)}", f"netns del {name}"):
            with contextlib.suppress(NetworkFailed):
                await ip_command.batch([order])
        self._taken.discard(ip)

    async def _remove_all_but(self, kept: set[str]) -> None:
        """Remove this instance's namespaces that are nobody's: spares of an earlier life."""
        for entry in await ip_command.query("netns"):
            name = str(entry.get("name"))
            net = str(_NAMESPACES / name)
            if name.startswith(f"{self._bridge}-") and net not in kept:
                await self._remove(net, f"0.0.0.{name.rpartition('-')[2]}")

    async def stop(self) -> None:
        """End what is under way; everything stays as it is."""
        await self._tasks.stop()

    async def close(self) -> None:
        """Remove the bridge and every namespace of this instance."""
        await self.stop()
        await self._remove_all_but(set())
        with contextlib.suppress(NetworkFailed):
            await ip_command.batch([f"link del {self._bridge}"])
        self._folders.network.unlink(missing_ok=True)

    def _free_address(self) -> str:
        hosts = self._subnet.hosts()
        next(hosts)  # the gateway
        for host in hosts:
            if str(host) not in self._taken:
                return str(host)
        raise NetworkFailed(f"no free address in {self._subnet}: {len(self._taken)} are taken")

    def _veth(self, ip: str) -> str:
        """At most 15 characters, so the pod's last number must do."""
        return f"{self._bridge}p{ip.rpartition('.')[2]}"


def choose_subnet(
    used: Iterable[ipaddress.IPv4Network], wanted: ipaddress.IPv4Network | None = None
) -> ipaddress.IPv4Network:
    """The first /24 of the pool that overlaps nothing in use; the one wanted if it is free."""
    taken = list(used)
    candidates = [*([wanted] if wanted else []), *POOL.subnets(new_prefix=24)]
    for subnet in candidates:
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise NetworkFailed(f"every /24 of {POOL} is in use on this machine")


def _networks(
    addresses: list[dict[str, object]], routes: list[dict[str, object]]
) -> list[ipaddress.IPv4Network]:
    texts = [str(route.get("dst", "")) for route in routes]
    for link in addresses:
        infos = link.get("addr_info")
        found_infos = infos if isinstance(infos, list) else []
        texts += [f"{info.get('local')}/{info.get('prefixlen')}" for info in found_infos]
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):  # "default", IPv6
            found.append(ipaddress.IPv4Network(text, strict=False))
    return [network for network in found if network.prefixlen]


def _read_subnet(path: Path) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(json.loads(path.read_text())["subnet"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

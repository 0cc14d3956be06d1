"""The files by which a pod knows its name and finds others: hosts and resolv.conf."""

from collections.abc import Sequence
from pathlib import Path

from stagezero.node.sandbox.runtime import Sandbox, SandboxSpec

_LOCAL = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
)


def hosts_file(spec: SandboxSpec, sandbox: Sandbox) -> str:
    """The hosts file: localhost, the pod itself, the aliases its spec asks for."""
    lines = ["# Kubernetes-managed hosts file.", *_LOCAL, f"{sandbox.ip}\t{spec.hostname}"]
    lines += [f"{address}\t{names}" for address, names in spec.host_aliases]
    return "\n".join(lines) + "\n"


def resolver_file(namespace: str, nameservers: Sequence[str], machines: str) -> str:
    """The resolver's configuration: given name servers, else those of the machine."""
    if not nameservers:
        kept = [line for line in machines.splitlines() if line.startswith("nameserver")]
    else:
        kept = [f"nameserver {address}" for address in nameservers]
    search = f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local"
    return "\n".join([search, *kept, "options ndots:5"]) + "\n"


def write_etc(
    folder: Path, spec: SandboxSpec, sandbox: Sandbox, nameservers: Sequence[str]
) -> None:
    """Write both files into the pod's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        machines = Path("/etc/resolv.conf").read_text()
    except OSError:
        machines = ""
    (folder / "hosts").write_text(hosts_file(spec, sandbox))
    (folder / "resolv.conf").write_text(resolver_file(spec.namespace, nameservers, machines))

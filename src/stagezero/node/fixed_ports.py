"""Finds a program that listens where its pod declares although it was told another port."""

from stagezero.node.sandbox.listening import ports_of
from stagezero.node.sandbox.runtime import ContainerId, Isolation, Runtime


def fixed_ports(runtime: Runtime, run: ContainerId) -> tuple[int, ...]:
    """Declared ports on which a run listens on the machine's network, instead of the given ones."""
    sandbox = runtime.sandbox(run.uid)
    if sandbox is None or sandbox.isolation is not Isolation.HOST:
        return ()
    pid = next((known.pid for known in runtime.runs(run.uid) if known.id == run), 0)
    found = ports_of(pid) if pid else frozenset()
    return tuple(
        port for port, given in sandbox.ports.items() if port in found and given not in found
    )

"""Whose ports are whose, as /proc tells it."""

import os
import socket
import subprocess
import sys

import pytest

from stagezero.kit.clock import SystemClock
from stagezero.node.fixed_ports import fixed_ports
from stagezero.node.sandbox.listening import family, ports_of
from stagezero.node.sandbox.runtime import ContainerId
from support.fake_runtime import FakeRuntime

LISTENER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("family_of_address", [socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
def test_ones_own_port_is_found(family_of_address: socket.AddressFamily) -> None:
    with socket.create_server(("", 0), family=family_of_address) as listener:
        assert listener.getsockname()[1] in ports_of(os.getpid())


def test_a_port_that_is_closed_is_not_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert port not in ports_of(os.getpid())


def test_a_childs_port_counts_and_a_parents_does_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with socket.create_server(("127.0.0.1", 0)) as mine:
            assert ports_of(child.pid) == {port}
            assert {port, mine.getsockname()[1]} <= ports_of(os.getpid())
        assert child.pid in family(os.getpid())
        child.communicate("")


def test_a_process_that_is_gone_has_none() -> None:
    assert ports_of(2**22 - 1) == frozenset()


def test_a_pod_with_a_network_of_its_own_may_listen_where_it_wants() -> None:
    assert fixed_ports(FakeRuntime(SystemClock()), ContainerId("u", "main", 0)) == ()

"""Networks, trees and files of sandboxes: the parts that need no root."""

import ipaddress
import json
import os
from pathlib import Path

import pytest

from stagezero.node.sandbox import tree_mounts
from stagezero.node.sandbox.bridge import POOL, choose_subnet
from stagezero.node.sandbox.etc_files import hosts_file, resolver_file
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.host import HostNetwork
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.sandbox.processes import remembered_sandboxes
from stagezero.node.sandbox.runtime import Bind, Isolation, RuntimeInfo, Sandbox, SandboxSpec
from stagezero.node.supervisor.spec import Mount
from stagezero.node.supervisor.tree import skeleton

Net = ipaddress.IPv4Network


@pytest.mark.parametrize(
    ("used", "wanted", "chosen"),
    [
        ([], None, "10.244.0.0/24"),
        (["10.244.0.0/24"], None, "10.244.1.0/24"),
        (["10.244.0.0/22"], None, "10.244.4.0/24"),
        (["192.168.0.0/16"], None, "10.244.0.0/24"),
        (["10.244.1.9/32"], "10.244.1.0/24", "10.244.0.0/24"),
        ([], "10.244.7.0/24", "10.244.7.0/24"),
    ],
    ids=["free", "taken", "wide", "elsewhere", "wanted-taken", "wanted"],
)
def test_a_free_subnet_is_chosen(used: list[str], wanted: str | None, chosen: str) -> None:
    found = choose_subnet([Net(text) for text in used], Net(wanted) if wanted else None)
    assert found == Net(chosen)


def test_a_full_pool_is_told() -> None:
    with pytest.raises(NetworkFailed, match="in use on this machine"):
        choose_subnet([POOL])


async def test_shared_ports_are_all_different() -> None:
    network = HostNetwork()
    await network.open([])
    found = [await network.attach(uid, (8080, 9000)) for uid in "abc"]
    ports = [port for attachment in found for port in attachment.ports.values()]
    assert len(set(ports)) == 6
    assert {attachment.ip for attachment in found} == {"127.0.0.1"}


async def test_ports_of_adopted_pods_stay_theirs() -> None:
    network = HostNetwork()
    await network.open([Sandbox("a", "d", "a", "127.0.0.1", Isolation.HOST, {8080: 40001})])
    assert 40001 not in (await network.attach("b", (8080,))).ports.values()


def test_the_name_of_an_instance_fits_into_device_names(tmp_path: Path) -> None:
    first, second = NodeFolders(tmp_path / "a"), NodeFolders(tmp_path / "b")
    assert first.instance != second.instance
    assert len(f"sz{first.instance}p255") <= 15


def test_the_hosts_file_names_the_pod_and_its_aliases() -> None:
    spec = SandboxSpec("u", "d", "web", "web", (), (("10.0.0.1", "a b"),))
    sandbox = Sandbox("u", "d", "web", "10.244.0.2", Isolation.BRIDGE)
    lines = hosts_file(spec, sandbox).splitlines()
    assert "10.244.0.2\tweb" in lines and "10.0.0.1\ta b" in lines
    assert "127.0.0.1\tlocalhost" in lines


def test_the_resolver_searches_the_pods_namespace() -> None:
    text = resolver_file("shop", (), "# by hand\nnameserver 9.9.9.9\nsearch corp\n")
    assert text.splitlines()[:2] == [
        "search shop.svc.cluster.local svc.cluster.local cluster.local",
        "nameserver 9.9.9.9",
    ]
    assert "nameserver 10.0.0.1\n" in resolver_file("shop", ("10.0.0.1",), "nameserver 9.9.9.9")


def _sandbox_file(folders: NodeFolders, uid: str, text: str) -> None:
    folders.pod(uid).mkdir(parents=True)
    (folders.pod(uid) / "sandbox.json").write_text(text)


def test_sandboxes_are_remembered_and_torn_files_forgotten(tmp_path: Path) -> None:
    folders = NodeFolders(tmp_path)
    raw = {
        "uid": "a", "namespace": "d", "name": "web", "ip": "127.0.0.1",
        "isolation": "host", "ports": {"8080": 41000}, "net": "",
    }  # fmt: skip
    _sandbox_file(folders, "a", json.dumps(raw))
    _sandbox_file(folders, "b", '{"uid": "b"')
    _sandbox_file(folders, "c", "[]")
    expected = Sandbox("a", "d", "web", "127.0.0.1", Isolation.HOST, {8080: 41000})
    assert remembered_sandboxes(folders) == [expected]


def test_a_mapped_port_is_looked_up() -> None:
    sandbox = Sandbox("a", "d", "web", "127.0.0.1", Isolation.HOST, {8080: 41000})
    assert (sandbox.port(8080), sandbox.port(9)) == (41000, 9)


def test_what_the_machine_allows_is_told_in_words() -> None:
    info = RuntimeInfo(Isolation.HOST, False, "not root")
    assert str(info) == "network: host, the machine's file tree (not root)"


def test_a_private_tmp_keeps_what_must_be_seen() -> None:
    visible = ["/tmp/env", "/usr/lib", "/tmp/env"]
    mounts = tree_mounts.visible_mounts(visible, tree_mounts.PRIVATE)
    assert mounts == [Mount("/tmp/env", "/tmp/env")]
    assert {m.target for m in tree_mounts.private_mounts(Path("/p"))} == {"/tmp", "/var/tmp"}


def test_a_small_dev_has_no_disks() -> None:
    targets = {mount.target for mount in tree_mounts.device_mounts()}
    assert {"/dev", "/dev/null", "/dev/urandom", "/dev/shm", "/dev/fd"} <= targets
    assert not any(target.startswith(("/dev/vd", "/dev/sd", "/dev/mem")) for target in targets)


def test_of_two_mounts_on_one_place_the_later_counts() -> None:
    mounts = [Mount("/a", "/x"), Mount("/b", "/y"), Mount("/a/", "/z")]
    assert tree_mounts.without_shadowed(mounts) == [Mount("/a/", "/z"), Mount("/b", "/y")]


def test_volumes_are_bound_as_asked() -> None:
    binds = [Bind(Path("/v"), "/mnt/models", True)]
    assert tree_mounts.bind_mounts(binds) == [Mount("/mnt/models", "/v", read_only=True)]


def test_only_folders_that_exist_are_hidden(tmp_path: Path) -> None:
    found = tree_mounts.hidden_mounts([tmp_path, tmp_path / "none"])
    assert [mount.target for mount in found] == [str(tmp_path)]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A small tree: folders, a file, a link."""
    (tmp_path / "etc" / "deep").mkdir(parents=True)
    (tmp_path / "etc" / "hosts").write_text("")
    (tmp_path / "usr").mkdir()
    os.symlink("usr", tmp_path / "bin")
    return tmp_path


def _steps(machine: Path, *targets: str) -> set[tuple[str, str]]:
    found = skeleton(str(machine), [str(machine / target) for target in targets])
    return {(step.kind, os.path.relpath(step.path, machine)) for step in found}


def test_whole_folders_are_bound_where_nothing_is_missing(machine: Path) -> None:
    assert _steps(machine, "etc/hosts") == {
        ("folder", "etc"),
        ("bind", "etc"),
        ("folder", "usr"),
        ("bind", "usr"),
        ("link", "bin"),
    }


def test_a_folder_is_opened_where_something_is_missing(machine: Path) -> None:
    steps = _steps(machine, "etc/config")
    assert ("bind", "etc") not in steps
    assert {("folder", "etc"), ("bind", "etc/deep"), ("bind", "etc/hosts")} <= steps


def test_a_missing_way_is_made(machine: Path) -> None:
    steps = _steps(machine, "new/and/deep")
    assert {("folder", "new"), ("folder", "new/and")} <= steps
    assert ("folder", "new/and/deep") not in steps


def test_a_target_itself_is_left_to_its_mount(machine: Path) -> None:
    assert not {path for _, path in _steps(machine, "usr") if path == "usr"}

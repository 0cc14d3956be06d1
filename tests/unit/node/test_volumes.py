"""Volumes: what they hold, and how it gets onto the disk."""

import base64
import os
from pathlib import Path

import pytest

from stagezero.api.base import Raw
from stagezero.api.config import ConfigMap, Secret
from stagezero.node.plans.errors import MountFailed
from stagezero.node.plans.references import Place, References
from stagezero.node.plans.volume_files import File, Files, volume_files
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.volumes import Volumes, publish
from support.pods_seen import a_pod

PLACE = Place("node", "127.0.0.1", "10.0.0.9")
REFERENCES = References(
    {
        "settings": ConfigMap(
            data={"mode": "fast", "level": "3"},
            binary_data={"raw": base64.b64encode(b"\xff\x00").decode()},
        )
    },
    {"keys": Secret(data={"token": base64.b64encode(b"s3cret").decode()})},
)


def _files(source: Raw, **metadata: object) -> Files | None:
    pod = a_pod({"volumes": [{"name": "v", **source}]}, **metadata)
    return volume_files(pod, pod.spec.volumes[0], REFERENCES, PLACE)


def test_a_config_map_becomes_files() -> None:
    assert _files({"configMap": {"name": "settings"}}) == {
        "mode": File(b"fast"),
        "level": File(b"3"),
        "raw": File(b"\xff\x00"),
    }


def test_a_secret_becomes_files_with_their_mode() -> None:
    source = {"secret": {"secretName": "keys", "defaultMode": 0o400}}
    assert _files(source) == {"token": File(b"s3cret", 0o400)}


def test_items_choose_keys_paths_and_modes() -> None:
    items = [{"key": "mode", "path": "deep/name", "mode": 0o600}]
    assert _files({"configMap": {"name": "settings", "items": items}}) == {
        "deep/name": File(b"fast", 0o600)
    }


def test_fields_of_the_pod_become_files() -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    found = _files({"downwardAPI": {"items": items}}, labels={"b": "2", "a": 'x"y'})
    assert found == {"labels": File(b'a="x\\"y"\nb="2"')}


def test_several_sources_are_projected_into_one_folder() -> None:
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "mode", "path": "m"}]}},
        {"secret": {"name": "keys"}},
        {"serviceAccountToken": {"path": "token-of-account"}},
    ]
    found = _files({"projected": {"sources": sources, "defaultMode": 0o440}})
    assert found == {"m": File(b"fast", 0o440), "token": File(b"s3cret", 0o440)}


def test_an_empty_dir_is_a_plain_folder() -> None:
    assert _files({"emptyDir": {}}) is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        (
            {"configMap": {"name": "settings", "items": [{"key": "no", "path": "p"}]}},
            "references non-existent config key: no",
        ),
        (
            {"secret": {"secretName": "keys", "items": [{"key": "no", "path": "p"}]}},
            "references non-existent secret key: no",
        ),
        ({"hostPath": {"path": "/"}}, "volumes of type hostPath are not supported"),
        (
            {"persistentVolumeClaim": {"claimName": "c"}},
            "volumes of type persistentVolumeClaim are not supported",
        ),
        (
            {"configMap": {"name": "settings", "items": [{"key": "mode", "path": "../x"}]}},
            "leads out of the volume",
        ),
        (
            {"configMap": {"name": "settings", "items": [{"key": "mode", "path": "/x"}]}},
            "leads out of the volume",
        ),
    ],
    ids=["map", "secret", "map-key", "secret-key", "host-path", "claim", "up", "absolute"],
)
def test_a_volume_that_cannot_be_mounted_says_why(source: Raw, why: str) -> None:
    with pytest.raises(MountFailed, match=r'MountVolume.SetUp failed for volume "v" : ') as failed:
        _files(source)
    assert why in str(failed.value)


@pytest.mark.parametrize(
    "source",
    [
        {"configMap": {"name": "no", "optional": True}},
        {"secret": {"secretName": "no", "optional": True}},
        {
            "configMap": {
                "name": "settings",
                "optional": True,
                "items": [{"key": "no", "path": "p"}],
            }
        },
    ],
    ids=["map", "secret", "key"],
)
def test_what_is_optional_may_be_missing(source: Raw) -> None:
    assert _files(source) == {}


def test_published_files_are_read_through_one_link(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"1"), "deep/b": File(b"2", 0o600)})
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "deep" / "b").read_bytes() == b"2"
    assert (tmp_path / "deep" / "b").stat().st_mode & 0o777 == 0o600
    assert os.readlink(tmp_path / "a") == "..data/a"


def test_a_change_swaps_all_files_at_once(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"1"), "gone": File(b"x")})
    before = os.readlink(tmp_path / "..data")
    publish(tmp_path, {"a": File(b"2"), "new": File(b"y")})
    assert os.readlink(tmp_path / "..data") != before
    assert (tmp_path / "a").read_bytes() == b"2"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["a", "new"]
    assert not (tmp_path / before).exists()


def test_the_same_files_are_not_written_again(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"1")})
    before = os.readlink(tmp_path / "..data")
    publish(tmp_path, {"a": File(b"1")})
    assert os.readlink(tmp_path / "..data") == before


def test_an_open_reader_keeps_the_old_content(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"old")})
    with (tmp_path / "a").open("rb") as reader:
        publish(tmp_path, {"a": File(b"new")})
        assert reader.read() == b"old"


def test_every_kind_of_folder_has_its_place(tmp_path: Path) -> None:
    folders = NodeFolders(tmp_path)
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]
    pod = a_pod({"volumes": volumes})
    writer = Volumes(folders)
    writer.write(pod, REFERENCES, PLACE)
    try:
        paths = writer.paths(pod)
        assert paths["disk"].is_relative_to(tmp_path) and paths["disk"].is_dir()
        assert paths["memory"].is_relative_to("/dev/shm") and paths["memory"].is_dir()
        assert paths["disk"].stat().st_mode & 0o777 == 0o777
    finally:
        paths["memory"].rmdir()
        paths["memory"].parent.rmdir()
        paths["memory"].parent.parent.rmdir()


def test_what_an_empty_dir_holds_survives_another_write(tmp_path: Path) -> None:
    pod = a_pod({"volumes": [{"name": "work", "emptyDir": {}}]})
    writer = Volumes(NodeFolders(tmp_path))
    writer.write(pod, REFERENCES, PLACE)
    (writer.paths(pod)["work"] / "result").write_text("kept")
    writer.write(pod, REFERENCES, PLACE)
    assert (writer.paths(pod)["work"] / "result").read_text() == "kept"

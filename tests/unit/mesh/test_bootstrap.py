"""Envoy's bootstrap and command line."""

import json
from pathlib import Path

import pytest

from stagezero.mesh.bootstrap import EnvoySettings, PathTooLong, bootstrap_of, envoy_command

SETTINGS = EnvoySettings(Path("/run/x"))


def test_the_command_names_its_bootstrap() -> None:
    command = envoy_command(SETTINGS)
    assert command.argv[1:3] == ("--config-path", "/run/x/bootstrap.json")
    assert Path(command.argv[0]).name == "envoy"
    assert json.loads(command.files[Path("/run/x/bootstrap.json")])


def test_there_is_one_worker() -> None:
    argv = envoy_command(SETTINGS).argv
    assert argv[argv.index("--concurrency") + 1] == "1"


def test_a_deep_directory_is_refused_with_a_remedy() -> None:
    with pytest.raises(PathTooLong, match="choose a shorter state directory"):
        envoy_command(EnvoySettings(Path("/" + "deep/" * 30)))


def test_the_admin_interface_is_a_private_socket() -> None:
    pipe = bootstrap_of(SETTINGS)["admin"]["address"]["pipe"]
    assert pipe == {"path": "/run/x/admin.sock", "mode": 0o600}


def test_everything_else_comes_over_our_socket() -> None:
    bootstrap = bootstrap_of(SETTINGS)
    assert bootstrap["dynamic_resources"]["ads_config"]["api_type"] == "DELTA_GRPC"
    assert "/run/x/xds.sock" in json.dumps(bootstrap["static_resources"])


def test_connections_are_bounded() -> None:
    text = json.dumps(bootstrap_of(EnvoySettings(Path("/run/x"), max_connections=7)))
    assert '"max_active_downstream_connections": 7' in text

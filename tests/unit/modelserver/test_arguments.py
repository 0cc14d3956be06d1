"""Arguments of both dialects, PORT, and what is refused."""

from pathlib import Path

import pytest

from stagezero.modelserver.arguments import parse
from stagezero.modelserver.errors import CannotStart

SKLEARN = ["--runtime", "sklearn", "--model_dir=/mnt/models"]


def test_sklearnserver_arguments_are_understood() -> None:
    settings = parse(
        [*SKLEARN, "--model_name=iris", "--http_port=8081", "--workers=1", "--max_buffer_size=10"],
        {},
    )
    assert (settings.model_name, settings.model_dir) == ("iris", Path("/mnt/models"))
    assert (settings.port, settings.max_body_bytes) == (8081, 10)


def test_tensorflow_model_server_arguments_are_understood() -> None:
    settings = parse(
        [
            "--runtime=tensorflow",
            "--model_name=mnist",
            "--port=9000",
            "--rest_api_port=8080",
            "--model_base_path=/mnt/models",
            "--rest_api_timeout_in_ms=60000",
        ],
        {"PORT": "1234"},
    )
    assert (settings.model_dir, settings.port) == (Path("/mnt/models"), 8080)
    assert settings.predict_timeout_s == 60.0


@pytest.mark.parametrize(
    ("arguments", "env", "port"),
    [
        ([], {}, 8080),
        ([], {"PORT": "9999"}, 9999),
        ([], {"PORT": ""}, 8080),
        (["--http_port", "7000"], {"PORT": "9999"}, 7000),
        (["--rest_api_port", "7001"], {"PORT": "9999"}, 7001),
    ],
)
def test_an_argument_wins_over_the_environments_port(
    arguments: list[str], env: dict[str, str], port: int
) -> None:
    assert parse([*SKLEARN, *arguments], env).port == port


def test_unknown_arguments_are_ignored() -> None:
    settings = parse([*SKLEARN, "--nthread=1", "--model_names", "x", "extra"], {})
    assert settings.model_name == "model"


def test_a_file_url_is_a_folder() -> None:
    settings = parse(["--runtime=tensorflow", "--model_base_path=file:///m"], {})
    assert settings.model_dir == Path("/m")


@pytest.mark.parametrize(
    ("arguments", "env", "host"),
    [
        ([], {}, "0.0.0.0"),
        ([], {"STAGEZERO_LISTEN_HOST": "127.0.0.1"}, "127.0.0.1"),
        (["--host", "::1"], {"STAGEZERO_LISTEN_HOST": "127.0.0.1"}, "::1"),
    ],
    ids=["all", "shared-network", "asked-for"],
)
def test_on_a_shared_network_the_server_stays_on_loopback(
    arguments: list[str], env: dict[str, str], host: str
) -> None:
    assert parse([*SKLEARN, *arguments], env).host == host


def test_the_termination_log_comes_from_the_environment() -> None:
    settings = parse(SKLEARN, {"TERMINATION_LOG": "/dev/termination-log"})
    assert settings.termination_log == Path("/dev/termination-log")


@pytest.mark.parametrize(
    ("arguments", "env", "part"),
    [
        (["--runtime", "sklearn"], {}, "--model_dir"),
        ([*SKLEARN, "--http_port", "80a"], {}, "--http_port is '80a'"),
        ([*SKLEARN, "--rest_api_port", "65536"], {}, "--rest_api_port is '65536'"),
        (SKLEARN, {"PORT": "-1"}, "PORT is '-1'"),
        ([*SKLEARN, "--unix_socket", "/tmp/" + "x" * 110], {}, "choose a shorter folder"),
    ],
)
def test_a_bad_setting_is_named(arguments: list[str], env: dict[str, str], part: str) -> None:
    with pytest.raises(CannotStart) as caught:
        parse(arguments, env)
    assert part in str(caught.value)

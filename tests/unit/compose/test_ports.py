"""How ports are chosen, and what is said of one that cannot be had."""

import errno
import json
import socket
from pathlib import Path

import pytest

from stagezero.compose.ports import PortTaken, choose
from stagezero.compose.settings import Settings


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "Address already in use. Stop what listens there"),
        (errno.EACCES, "Permission denied. This port is for root alone: choose a higher one."),
    ],
    ids=["taken", "reserved"],
)
def test_a_port_that_cannot_be_had_is_told_with_its_remedy(number: int, words: str) -> None:
    error = OSError(number, "text (while attempting to bind)")
    assert words in str(PortTaken("http", "127.0.0.1", 80, error))


def test_a_taken_port_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(state=tmp_path, http_port=listener.getsockname()[1])
        with pytest.raises(PortTaken, match="asked for as the http port"):
            choose(settings, tmp_path / "ports.json", is_gateway_running=False)


def test_the_choice_is_kept_while_its_ports_are_free(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    settings = Settings(state=tmp_path)
    first = choose(settings, file, is_gateway_running=False)
    assert json.loads(file.read_text())["api"] == first.api
    assert choose(settings, file, is_gateway_running=False) == first

"""How ports are chosen, and what is said of one that cannot be had."""

import errno
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagezero.compose.ports import Claims, PortTaken, choose
from stagezero.compose.settings import Settings

HOST = "127.0.0.1"


@pytest.fixture
def claims() -> Iterator[Claims]:
    """The claims of an installation that starts."""
    made = Claims(HOST)
    yield made
    made.close()


@pytest.fixture
def others() -> Iterator[Claims]:
    """The claims of another that starts at the same moment."""
    made = Claims(HOST)
    yield made
    made.close()


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


def test_a_taken_port_that_was_asked_for_is_an_error(tmp_path: Path, claims: Claims) -> None:
    with socket.create_server((HOST, 0)) as listener:
        settings = Settings(state=tmp_path, http_port=listener.getsockname()[1])
        with pytest.raises(PortTaken, match="asked for as the http port"):
            choose(settings, tmp_path / "ports.json", claims, is_gateway_running=False)


def test_the_choice_is_kept_while_its_ports_are_free(tmp_path: Path, claims: Claims) -> None:
    file = tmp_path / "ports.json"
    settings = Settings(state=tmp_path)
    first = choose(settings, file, claims, is_gateway_running=False)
    assert json.loads(file.read_text())["api"] == first.api
    claims.close()  # it has ended
    assert choose(settings, file, claims, is_gateway_running=False) == first


def test_two_that_start_at_once_choose_apart(
    tmp_path: Path, claims: Claims, others: Claims
) -> None:
    settings = Settings(state=tmp_path)
    one = choose(settings, tmp_path / "one.json", claims, is_gateway_running=False)
    two = choose(settings, tmp_path / "two.json", others, is_gateway_running=False)
    chosen = [one.api, one.http, one.https, one.local, two.api, two.http, two.https, two.local]
    assert len(set(chosen)) == len(chosen)


def test_a_claimed_port_that_was_asked_for_is_an_error(
    tmp_path: Path, claims: Claims, others: Claims
) -> None:
    settings = Settings(state=tmp_path, http_port=others.free(0))
    with pytest.raises(PortTaken, match="asked for as the http port"):
        choose(settings, tmp_path / "ports.json", claims, is_gateway_running=False)


def test_ports_of_a_gateway_that_runs_on_are_claimed_again(
    tmp_path: Path, claims: Claims, others: Claims
) -> None:
    file, settings = tmp_path / "ports.json", Settings(state=tmp_path)
    first = choose(settings, file, claims, is_gateway_running=False)
    claims.close()
    assert choose(settings, file, claims, is_gateway_running=True) == first
    with pytest.raises(OSError, match="another installation"):
        others.free(first.http)


def test_the_choice_is_never_half_written(tmp_path: Path, claims: Claims) -> None:
    file, seen, settings = tmp_path / "ports.json", tmp_path / "seen", Settings(state=tmp_path)
    choose(settings, file, claims, is_gateway_running=False)
    before = file.read_text()
    seen.hardlink_to(file)  # as somebody who reads has it open
    choose(settings, file, claims, is_gateway_running=False)
    assert seen.read_text() == before != file.read_text()

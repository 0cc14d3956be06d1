"""HTTP/1.1 on one connection: framing, order, limits, refusals, and what is logged."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stagezero.modelserver.transports.port import Limits
from support.modelserver import EchoHandler, SlowHandler, Wire

LIMITS = Limits(max_body_bytes=1000)


@pytest.fixture
async def log_descriptor(tmp_path: Path) -> AsyncIterator[int]:
    descriptor = os.open(tmp_path / "access.log", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
async def echo(log_descriptor: int) -> AsyncIterator[Wire]:
    wire = Wire(EchoHandler(), log_descriptor, LIMITS)
    yield wire
    wire.access.flush()


@pytest.fixture
async def slow(log_descriptor: int) -> AsyncIterator[tuple[Wire, SlowHandler]]:
    handler = SlowHandler()
    wire = Wire(handler, log_descriptor, LIMITS)
    yield wire, handler
    wire.access.flush()


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def status_of(response: bytes) -> int:
    return int(response.split()[1])


POST = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


async def test_a_request_is_answered_with_head_and_body(echo: Wire) -> None:
    head, _, body = echo.feed(POST).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 13" in lines
    assert b"Content-Type: text/plain" in lines
    assert any(line.startswith(b"Date: ") and line.endswith(b" GMT") for line in lines)
    assert body == b"POST /a hello"


async def test_a_connection_is_kept(echo: Wire) -> None:
    assert echo.feed(POST) == echo.feed(POST)
    assert not echo.transport.is_closed


@pytest.mark.parametrize("size", [1, 3, 7, 20])
async def test_a_request_may_arrive_in_pieces(echo: Wire, size: int) -> None:
    pieces = [POST[start : start + size] for start in range(0, len(POST), size)]
    answers = [echo.feed(piece) for piece in pieces]
    assert body_of(answers[-1]) == b"POST /a hello"
    assert not any(answers[:-1])


async def test_a_chunked_body_is_put_together(echo: Wire) -> None:
    answer = echo.feed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    assert body_of(answer) == b"POST / abcde"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/models/m:predict", "/v1/models/m:predict"),
        (b"/a?b=c/d", "/a"),
        (b"/a%20b", "/a b"),
        (b"/%ff", "/\ufffd"),
        (b"http://host:80/a/b?c", "/a/b"),
        (b"http://host", "/"),
        (b"/a%2e%2e%2fb", "/a../b"),
    ],
)
async def test_the_path_is_decoded(echo: Wire, target: bytes, path: str) -> None:
    answer = echo.feed(b"GET " + target + b" HTTP/1.1\r\n\r\n")
    assert body_of(answer).decode() == f"GET {path} "


async def test_pipelined_requests_are_answered_in_order(echo: Wire) -> None:
    written = echo.feed(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(5)))
    assert [part.split()[1] for part in written.split(b"\r\n\r\n")[1:]] == [
        b"/0", b"/1", b"/2", b"/3", b"/4",
    ]  # fmt: skip


async def test_the_next_request_waits_for_the_answer_before_it(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    wire.feed(POST + POST)
    assert len(handler.asked) == 1
    handler.answer(b"first")
    assert len(handler.asked) == 2
    handler.answer(b"second")
    assert wire.transport.take().count(b"HTTP/1.1 200") == 2


async def test_a_client_that_floods_is_not_read_until_it_is_answered(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    wire.feed(POST * 40)
    assert wire.transport.is_paused
    while len(handler.asked) < 40:
        handler.answer()
    assert not wire.transport.is_paused


async def test_a_client_that_does_not_read_gets_no_further_answer(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    wire.connection.pause_writing()
    wire.feed(POST)
    assert not handler.asked
    wire.connection.resume_writing()
    assert len(handler.asked) == 1
    handler.answer()


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
    ids=["asked-to", "http-1.0", "http-1.0-get"],
)
async def test_a_connection_ends_when_the_client_wants_it(echo: Wire, head: bytes) -> None:
    answer = echo.feed(head)
    assert b"\r\nConnection: close\r\n" in answer
    assert echo.transport.is_closed


async def test_an_http_1_0_client_may_ask_to_stay(echo: Wire) -> None:
    answer = echo.feed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: keep-alive\r\n" in answer
    assert not echo.transport.is_closed


async def test_head_is_answered_without_a_body(echo: Wire) -> None:
    answer = echo.feed(b"HEAD /x HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 8" in answer
    assert body_of(answer) == b""


async def test_100_continue_is_sent_before_the_body(echo: Wire) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert echo.feed(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status_of(echo.feed(b"hi")) == 200


async def test_100_continue_waits_for_the_answer_before_it(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert wire.feed(POST + head) == b""
    handler.answer()
    assert wire.transport.take().endswith(b"HTTP/1.1 100 Continue\r\n\r\n")


async def test_100_continue_is_not_sent_for_what_will_be_refused(echo: Wire) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n"
    assert status_of(echo.feed(head)) == 413


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"hello\r\n\r\n", 400, id="no-http"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, id="version"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, id="length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            id="two-framings",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="chunk"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, id="too-large"),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
            413,
            id="too-large-chunked",
        ),
        pytest.param(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431, id="long-target"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431, id="long-header"),
        pytest.param(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405, id="connect"),
        pytest.param(
            b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1001\r\n\r\n",
            413,
            id="too-large-upgrade",
        ),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 129 + b"\r\n", 431, id="many-headers"),
    ],
)
async def test_what_cannot_be_served_is_refused_and_ends_the_connection(
    echo: Wire, request_bytes: bytes, status: int
) -> None:
    answer = echo.feed(request_bytes)
    assert status_of(answer) == status
    assert b"\r\nConnection: close\r\n" in answer
    assert echo.transport.has_ended


async def test_a_header_that_never_ends_is_refused(echo: Wire) -> None:
    assert echo.feed(b"GET / HTTP/1.1\r\nA: ") == b""
    answers = [echo.feed(b"a" * 10_000) for _ in range(8)]
    assert status_of(b"".join(answers)) == 431


async def test_a_body_at_the_limit_is_served(echo: Wire) -> None:
    answer = echo.feed(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
    assert status_of(answer) == 200


async def test_a_refusal_waits_for_the_answers_before_it(slow: tuple[Wire, SlowHandler]) -> None:
    wire, handler = slow
    assert wire.feed(POST + b"nonsense\r\n\r\n") == b""
    handler.answer()
    written = wire.transport.take()
    assert written.index(b"200 OK") < written.index(b"400 Bad Request")


async def test_what_follows_a_refusal_is_discarded(echo: Wire) -> None:
    echo.feed(b"nonsense\r\n\r\n")
    assert echo.feed(POST) == b""


@pytest.mark.parametrize("size", [5, 1000])
async def test_an_upgrade_is_answered_in_http_1(echo: Wire, size: int) -> None:
    request = (
        b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQC\r\nContent-Length: 2\r\n\r\nhi"
    )
    pieces = [request[start : start + size] for start in range(0, len(request), size)]
    assert body_of(b"".join(map(echo.feed, pieces))) == b"POST /u hi"
    assert body_of(echo.feed(POST)) == b"POST /a hello"


async def test_half_closed_client_still_gets_its_answer(slow: tuple[Wire, SlowHandler]) -> None:
    wire, handler = slow
    wire.feed(POST)
    assert wire.connection.eof_received()
    handler.answer()
    assert b"200 OK" in wire.transport.take()
    assert wire.transport.is_closed


async def test_a_client_that_leaves_idle_ends_the_connection(echo: Wire) -> None:
    echo.feed(POST)
    assert not echo.connection.eof_received()


async def test_an_answer_to_a_client_that_left_goes_nowhere(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    wire.feed(POST + POST)
    wire.connection.connection_lost(None)
    assert handler.asked[0][1].is_abandoned
    handler.answer()
    assert wire.transport.take() == b""
    assert len(handler.asked) == 1


async def test_a_slow_head_is_refused_in_time(echo: Wire) -> None:
    echo.feed(b"GET / HT")
    echo.connection.check_time(echo.clock.now + 59)
    assert echo.transport.take() == b""
    echo.connection.check_time(echo.clock.now + 61)
    assert status_of(echo.transport.take()) == 408


async def test_a_body_that_stops_is_refused_in_time(echo: Wire) -> None:
    echo.feed(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe")
    echo.clock.now += 50
    echo.feed(b"l")
    echo.connection.check_time(echo.clock.now + 50)
    assert echo.transport.take() == b""
    echo.connection.check_time(echo.clock.now + 61)
    assert status_of(echo.transport.take()) == 408


async def test_an_idle_connection_is_kept_long(echo: Wire) -> None:
    echo.feed(POST)
    echo.connection.check_time(echo.clock.now + 3599)
    assert not echo.transport.is_closed
    echo.connection.check_time(echo.clock.now + 3601)
    assert echo.transport.is_closed


async def test_a_long_prediction_is_no_silence(slow: tuple[Wire, SlowHandler]) -> None:
    wire, handler = slow
    wire.feed(POST)
    wire.connection.check_time(wire.clock.now + 100_000)
    assert not wire.transport.is_closed
    handler.answer()


async def test_while_draining_an_answer_ends_its_connection(
    slow: tuple[Wire, SlowHandler],
) -> None:
    wire, handler = slow
    wire.feed(POST)
    wire.port.is_draining = True
    wire.connection.close_if_idle()
    assert not wire.transport.is_closed
    handler.answer()
    assert b"\r\nConnection: close\r\n" in wire.transport.take()
    assert wire.transport.is_closed


async def test_each_request_leaves_a_line(echo: Wire, tmp_path: Path) -> None:
    echo.feed(POST + b"nonsense\r\n\r\n")
    echo.access.flush()
    first, second = (tmp_path / "access.log").read_text().splitlines()
    assert first.split()[1:4] == ["200", "POST", "/a"]
    assert second.split()[1:4] == ["400", "-", "-"]


async def test_a_client_cannot_write_lines_of_its_own(echo: Wire, tmp_path: Path) -> None:
    echo.feed(b"GET /a%0a200%20GET%20/forged HTTP/1.1\r\n\r\n")
    echo.access.flush()
    assert len((tmp_path / "access.log").read_text().splitlines()) == 1


async def test_a_large_answer_is_whole(slow: tuple[Wire, SlowHandler]) -> None:
    wire, handler = slow
    wire.feed(POST)
    handler.answer(b"x" * 100_000)
    assert len(body_of(wire.transport.take())) == 100_000

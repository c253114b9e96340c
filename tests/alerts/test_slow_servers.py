"""A server that says a byte now and then holds nobody for longer than a request or a mail may take."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import pytest
from nightdesk_alerts import Mail
from nightdesk_alerts.channels import mail as mail_module
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later
from nightdesk_alerts.delivery.web import Web, WebError
from nightdesk_alerts.delivery.web_response import WebResponse

from tests.alerts.conftest import Counts, ServedInbox, StartSender, all_channels
from tests.alerts.test_wording import notification

LIMIT = 0.4
"""Seconds that an exchange may take."""
ROOM = 3.0
"""Seconds more that a machine at work may need; the server would go on for far longer."""
LONGEST = 20.0
LATE = Later("no answer in time")

Answer = Callable[[socket.socket], None]


@contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """Answer each connection, and yield the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def drip(connection: socket.socket, pieces: Iterable[bytes]) -> None:
    """Say a piece now and then, for a long while."""
    end = time.monotonic() + LONGEST
    for piece in pieces:
        if time.monotonic() > end:
            break
        connection.sendall(piece)
        time.sleep(0.05)


def http(start: bytes, pieces: Callable[[], Iterable[bytes]]) -> Answer:
    """Read a request, and answer it with `start` and then ever more pieces."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(start)
        drip(connection, pieces())

    return answer


def in_time(call: Callable[[], object], *, seconds: float = LIMIT) -> None:
    began = time.monotonic()
    call()
    assert time.monotonic() - began < seconds + ROOM


def asked(web: Web, port: int) -> WebResponse | DeliveryOutcome:
    try:
        return web.post(f"http://127.0.0.1:{port}/x", {})
    except WebError as error:
        return error.outcome


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 ", b"100 Continue\r\n\r\nHTTP/1.1 "),
    ],
    ids=["status line", "a header", "headers", "100-continue"],
)
def test_an_answer_that_never_comes_to_its_point_is_given_up_in_time(start: bytes, piece: bytes) -> None:
    with serving(http(start, lambda: itertools.repeat(piece))) as port:
        web = Web(timeout_seconds=LIMIT)
        found: list[object] = []
        in_time(lambda: found.append(asked(web, port)))
    assert found == [LATE]


@pytest.mark.parametrize(
    ("headers", "piece"),
    [
        (b"Content-Length: 60000\r\n\r\n", b"x"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"Connection: close\r\n\r\n", b"x"),
    ],
    ids=["length", "chunks", "a chunk's length", "until the end"],
)
def test_a_body_without_end_changes_nothing_of_what_the_status_says(headers: bytes, piece: bytes) -> None:
    with serving(http(b"HTTP/1.1 202 Accepted\r\n" + headers, lambda: itertools.repeat(piece))) as port:
        web = Web(timeout_seconds=LIMIT)
        found: list[object] = []
        in_time(lambda: found.append(asked(web, port)))
    (answer,) = found
    assert isinstance(answer, WebResponse)
    assert answer.status == 202


def test_a_connection_that_is_used_again_is_limited_again() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        time.sleep(2 * LIMIT)  # the first limit is over, and must not end the second request
        connection.recv(65_536)
        drip(connection, itertools.repeat(b"x"))

    with serving(answer) as port:
        web = Web(timeout_seconds=LIMIT)
        assert isinstance(asked(web, port), WebResponse)
        found: list[object] = []
        time.sleep(1.5 * LIMIT)
        web.timeout_seconds = 3 * LIMIT
        in_time(lambda: found.append(asked(web, port)), seconds=3 * LIMIT)
    assert found == [LATE]


def test_no_limit_outlives_its_request() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    before = threading.active_count()
    with serving(http(ok, list)) as port:
        web = Web(timeout_seconds=60)
        for _ in range(20):
            assert isinstance(asked(web, port), WebResponse)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def smtp(talk: dict[str, bytes], *, dripping: str = "", piece: bytes = b"") -> Answer:
    """Talk as a mail server, which at one word says `piece` again and again."""

    def answer(connection: socket.socket) -> None:
        def say(word: str, usual: bytes) -> None:
            if word == dripping:
                drip(connection, itertools.repeat(piece))
            connection.sendall(talk.get(word, usual))

        say("CONNECT", b"220 here\r\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                word = line.split(b" ")[0].strip().decode().upper()
                say(word, b"354 go on\r\n" if word == "DATA" else b"250 fine\r\n")
                if word == "DATA":
                    for each in lines:
                        if each == b".\r\n":
                            break
                    say("TEXT", b"250 taken\r\n")

    return answer


def posted(port: int, **changes: object) -> DeliveryOutcome:
    mail = Mail.of(
        {
            "email_smtp_server": "127.0.0.1",
            "email_smtp_port": port,
            "email_recipients": ("you@example.org",),
            "email_require_tls": False,
            **changes,
        }
    )
    assert mail is not None
    return mail.deliver(notification("firing"), Web(timeout_seconds=LIMIT))


@pytest.mark.parametrize(
    ("word", "piece"),
    [
        ("CONNECT", b"2"),
        ("CONNECT", b"220-wait\r\n"),
        ("EHLO", b"250-wait\r\n"),
        ("MAIL", b"250-wait\r\n"),
        ("RCPT", b"250-wait\r\n"),
        ("DATA", b"354-wait\r\n"),
        ("TEXT", b"250-wait\r\n"),
    ],
)
def test_a_mail_server_that_never_comes_to_its_point_is_given_up_in_time(word: str, piece: bytes) -> None:
    found: list[object] = []
    with serving(smtp({}, dripping=word, piece=piece)) as port:
        in_time(lambda: found.append(posted(port)), seconds=4 * LIMIT)
    assert found == [LATE]


def test_tls_that_never_begins_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    # A handshake record whose many bytes come one by one.
    with serving(
        lambda connection: drip(connection, itertools.chain([b"\x16\x03\x03\x40\x00"], itertools.repeat(b"\x02")))
    ) as port:
        monkeypatch.setattr(mail_module, "_TLS_PORT", port)
        in_time(lambda: found.append(posted(port)), seconds=4 * LIMIT)
        with pytest.raises(WebError) as raised:
            in_time(lambda: Web(timeout_seconds=LIMIT).post(f"https://127.0.0.1:{port}/x", {}))
    assert isinstance(found[0], Later)
    assert isinstance(raised.value.outcome, Later)


@pytest.mark.parametrize(
    "how", [{"talk": {"QUIT": b"421 busy\r\n"}}, {"talk": {}, "dripping": "QUIT", "piece": b"221-x\r\n"}]
)
def test_what_a_mail_server_says_to_the_goodbye_has_no_mail_sent_twice(how: dict[str, object]) -> None:
    found: list[object] = []
    with serving(smtp(**how)) as port:  # type: ignore[arg-type]
        in_time(lambda: found.append(posted(port)), seconds=4 * LIMIT)
    assert found == [Delivered()]


def test_a_server_that_drips_delays_no_other_and_is_tried_again(
    inbox: ServedInbox, start: StartSender, counts: Counts
) -> None:
    with serving(http(b"HTTP/1.1 200 OK\r\nX: ", lambda: itertools.repeat(b"x"))) as port:
        alerting = all_channels(inbox, webhook_url=f"http://127.0.0.1:{port}/x")
        start(alerting, timeout_seconds=LIMIT).send_alert("X", severity="critical", summary="s.")
        inbox.arrived("discord")
        counts.reach("alerts_retried", 1)

"""What the page server says where a server does not, or not as it should."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from nightdesk.pages.crowd import MOST
from nightdesk.pages.link import login_link
from nightdesk.pages.server import PageServerError, serving
from nightdesk.passwords import ensure_password, password_file
from nightdesk.settings import Settings, load
from yarl import URL

from tests.e2e.conftest import free_ports


def _nothing() -> None:
    """Stand for what has Alertmanager follow a chat."""


class Upstream:
    """A server in the place of Prometheus, which answers as a test wants."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer = web.Response(text="ok")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        if request.path == "/half":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"half")
            assert request.transport is not None
            request.transport.abort()
            return response
        return self.answer


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    pages, prometheus, other = free_ports(3)
    file = tmp_path / "nightdesk.yml"
    ports = f"{{pages: {pages}, prometheus: {prometheus}, alertmanager: {other}}}"
    file.write_text(f"home: .\nstack: {{ports: {ports}}}\n")
    return load(file)


@pytest.fixture
async def operator(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that is logged in."""
    async with serving(settings, renew=_nothing):
        jar = aiohttp.CookieJar(unsafe=True)  # of an address, too
        async with aiohttp.ClientSession(settings.pages_url, auto_decompress=False, cookie_jar=jar) as client:
            form = {"password": ensure_password(settings, "pages")}
            async with client.post("/login", data=form, headers={"Origin": settings.pages_url}) as answer:
                assert answer.status == 200
            yield client


@pytest.fixture
async def upstream(settings: Settings) -> AsyncIterator[Upstream]:
    found = Upstream()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings.port("prometheus")).start()
    try:
        yield found
    finally:
        await runner.cleanup()


async def test_a_server_that_does_not_answer_is_named_with_what_to_do(operator: aiohttp.ClientSession) -> None:
    async with operator.get("/prometheus/metrics") as answer:
        assert answer.status == 502
        assert await answer.text() == "Prometheus does not answer; `nightdesk stack status` says whether it runs\n"


async def test_the_browser_is_not_asked_for_the_machine_s_password(
    operator: aiohttp.ClientSession, upstream: Upstream
) -> None:
    upstream.answer = web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    async with operator.get("/prometheus/metrics") as answer:
        assert answer.status == 502
        assert "WWW-Authenticate" not in answer.headers
        assert "another password" in await answer.text()


async def test_what_concerns_one_side_alone_stays_there(
    operator: aiohttp.ClientSession, upstream: Upstream, settings: Settings
) -> None:
    ensure_password(settings, "prometheus")
    upstream.answer = web.Response(
        body=b"\x1f\x8b packed",
        headers={
            "Set-Cookie": "a=b",
            "Access-Control-Allow-Origin": "*",
            "Keep-Alive": "timeout=5",
            "X-Frame-Options": "ALLOWALL",
            "Content-Encoding": "gzip",
            "ETag": '"1"',
            "Server": "old",
        },
    )
    sent = {"Authorization": "Basic eDp5", "X-Forwarded-For": "1.2.3.4", "Referer": "http://x/", "If-None-Match": '"0"'}
    url = URL(f"{settings.pages_url}/prometheus/api/v1/query?query=a%2Fb+c&x", encoded=True)
    async with operator.get(url, headers=sent) as answer:
        assert answer.status == 200
        assert await answer.read() == b"\x1f\x8b packed", "as it came"
        assert (answer.headers["Content-Encoding"], answer.headers["ETag"]) == ("gzip", '"1"')
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert not {"Set-Cookie", "Access-Control-Allow-Origin", "Keep-Alive"} & set(answer.headers)
    (asked,) = upstream.asked
    assert asked.path_qs == "/api/v1/query?query=a%2Fb+c&x"
    login = f"nightdesk:{ensure_password(settings, 'prometheus')}"
    assert asked.headers["Authorization"] == f"Basic {base64.b64encode(login.encode()).decode()}"
    assert not {"Cookie", "Referer", "Origin", "X-Forwarded-For"} & set(asked.headers)
    assert asked.headers["If-None-Match"] == '"0"'


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/prometheus/graph", "/prometheus/graph"),
        ("graph?x=1", "graph?x=1"),
        ("http://{own}/prometheus/graph", "/prometheus/graph"),
        ("http://evil.example/x", "/"),
        ("//evil.example/x", "/"),
    ],
)
async def test_a_redirect_leads_to_no_other_place(
    operator: aiohttp.ClientSession, upstream: Upstream, settings: Settings, location: str, shown: str
) -> None:
    where = location.format(own=settings.address("prometheus"))
    upstream.answer = web.Response(status=302, headers={"Location": where})
    async with operator.get("/prometheus/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, shown)


async def test_an_answer_that_breaks_off_does_not_look_whole(
    operator: aiohttp.ClientSession, upstream: Upstream
) -> None:
    with pytest.raises(aiohttp.ClientError):
        async with operator.get("/prometheus/half") as answer:
            await answer.read()
    async with operator.get("/prometheus/metrics") as answer:
        assert answer.status == 200, "and the page server goes on"


async def test_a_query_that_is_posted_arrives_as_it_was_sent(
    operator: aiohttp.ClientSession, upstream: Upstream, settings: Settings
) -> None:
    headers = {"Origin": settings.pages_url}
    async with operator.post("/prometheus/api/v1/query", data={"query": "up{a='b'}"}, headers=headers) as answer:
        assert answer.status == 200
    (asked,) = upstream.asked
    assert asked.content_type == "application/x-www-form-urlencoded"
    assert upstream.bodies == [b"query=up%7Ba%3D%27b%27%7D"]


async def test_a_taken_port_is_an_error_of_one_line(settings: Settings) -> None:
    async with serving(settings, renew=_nothing):
        with pytest.raises(PageServerError, match=rf"^port {settings.port('pages')} for the page server: "):
            async with serving(settings, renew=_nothing):
                pass


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"password=\xff\xfe", {}),
        (b"password=%ff%fe", {}),
        (b"no gzip", {"Content-Encoding": "gzip"}),
        (b"no deflate", {"Content-Encoding": "deflate"}),
        (b"password=\xff", {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}),
    ],
)
async def test_a_form_that_is_none_is_refused_and_no_fault_of_the_server(
    operator: aiohttp.ClientSession, settings: Settings, body: bytes, headers: dict[str, str]
) -> None:
    """Whoever is not logged in could fill the log with faults, and hide in it."""
    headers = {"Origin": settings.pages_url, "Content-Type": "application/x-www-form-urlencoded"} | headers
    async with operator.post("/login", data=body, headers=headers) as answer:
        assert (answer.status, await answer.text()) == (400, "this is no form\n")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain; charset=rot13", "nonsense"]
)
async def test_whatever_kind_a_form_is_said_to_be_it_is_read_as_ours(
    operator: aiohttp.ClientSession, settings: Settings, kind: str
) -> None:
    headers = {"Origin": settings.pages_url, "Content-Type": kind}
    async with operator.post("/login", data=b"--x\r\nfoo\r\n\r\nbar\r\n--x--", headers=headers) as answer:
        assert answer.status == 403


async def test_a_body_that_is_not_what_its_headers_say_is_not_passed_on(
    operator: aiohttp.ClientSession, settings: Settings, upstream: Upstream
) -> None:
    headers = {"Origin": settings.pages_url, "Content-Encoding": "gzip"}
    async with operator.post("/prometheus/api/v1/query", data=b"no gzip", headers=headers) as answer:
        assert answer.status == 400
    assert upstream.asked == []


async def test_a_silence_that_cannot_be_ended_for_want_of_the_password_is_said(
    operator: aiohttp.ClientSession, settings: Settings
) -> None:
    password_file(settings, "alertmanager").mkdir(parents=True)
    headers = {"Origin": settings.pages_url}
    async with operator.post(f"/silences/{uuid4()}/end", headers=headers) as answer:
        assert (answer.status, "did not end" in await answer.text()) == (502, True)


async def test_who_looks_ahead_does_not_use_a_link_up(settings: Settings) -> None:
    async with serving(settings, renew=_nothing), aiohttp.ClientSession() as client:
        link = login_link(settings)
        async with client.head(link, allow_redirects=False) as answer:
            assert answer.status == 405
        async with client.get(link, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_however_many_connect_and_say_nothing_people_are_answered_and_who_is_known_stays(
    operator: aiohttp.ClientSession, settings: Settings
) -> None:
    """Another user of the machine could take every descriptor that the server has."""
    machine = await _raw(settings)
    password = ensure_password(settings, "pages")
    login = base64.b64encode(f"nightdesk:{password}".encode()).decode()
    scrape = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {login}\r\n\r\n".encode()
    assert await _answered(machine, scrape)
    crowd = []
    for number in range(3 * MOST):
        crowd.append(await _raw(settings))
        if number % MOST == 0:
            async with aiohttp.ClientSession() as other, other.get(f"{settings.pages_url}/healthz") as answer:
                assert answer.status == 200
    async with operator.get("/") as answer:
        assert answer.status == 200
    assert await _answered(machine, scrape), "the connection of whoever is known stays"
    await asyncio.sleep(0.1)
    ended = [reader.at_eof() or reader.exception() is not None for reader, _ in crowd]
    assert 2 * MOST - 5 <= sum(ended) <= 2 * MOST + 5
    assert not any(ended[-MOST + 5 :]), "the oldest make room"
    for _, writer in [machine, *crowd]:
        writer.close()


async def _raw(settings: Settings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", settings.port("pages"))


async def _answered(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> bool:
    reader, writer = connection
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)
    return answer.startswith(b"HTTP/1.1 200 ")

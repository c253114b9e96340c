"""A hostile page in the browser of an operator who is logged in at the page server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from nightdesk.pages.link import login_link

from tests.desk.pages.conftest import PUSHED, SERVERS, Desk
from tests.desk.pages.test_servers_alone import TEN_YEARS
from tests.exporter.page.browser import Browser, started

pytestmark = pytest.mark.servers

# In the browser it is a name of this machine: a site whose owner may point it there.
EVIL = "bot.evil.example"
EQUITY = "/api/v1/query?query=tradebot_equity"

TRY_EVERYTHING = """
(async () => {
  const read = [];
  const reach = async (url, options) => {
    for (const mode of ["cors", "no-cors"]) for (const credentials of ["include", "omit"]) {
      try {
        // Where a password is asked for, a browser without a screen waits for ever.
        const answer = await fetch(url, {...options, mode, credentials, signal: AbortSignal.timeout(1500)});
        const text = await answer.text();
        if (text) read.push(url + ": " + text);
      } catch (error) { /* kept from us */ }
    }
  };
  const reaching = [];
  for (const [method, url] of WAYS) {
    for (const kind of ["text/plain", "application/json"]) {
      reaching.push(reach(url, method === "GET" ? {} : {method, body: BODY, headers: {"Content-Type": kind}}));
    }
    if (method === "POST") {
      const frame = document.createElement("iframe");
      frame.name = "to" + Math.random();
      document.body.append(frame);
      const form = document.createElement("form");
      Object.assign(form, {method: "post", action: url, target: frame.name, enctype: "text/plain"});
      const field = document.createElement("input");
      Object.assign(field, {name: BODY.slice(0, -1) + ',"x":"', value: '"}'});
      form.append(field);
      document.body.append(form);
      form.submit();
    } else {
      for (const kind of ["img", "script", "iframe", "object"]) {
        const part = document.createElement(kind);
        part[kind === "object" ? "data" : "src"] = url;
        document.body.append(part);
      }
    }
  }
  await Promise.all(reaching);
  await new Promise((done) => setTimeout(done, 500));
  for (const frame of document.querySelectorAll("iframe")) {
    try { if (frame.contentDocument.body.textContent) read.push(frame.contentDocument.body.textContent); }
    catch (error) { /* kept from us */ }
  }
  return read;
})()
"""


def ways(desk: Desk) -> list[tuple[str, str]]:
    """Return what the page tries: at the servers themselves, and with the operator's cookie."""
    paths = [
        ("GET", "prometheus", EQUITY),
        ("POST", "prometheus", "/-/quit"),
        ("POST", "prometheus", "/-/reload"),
        ("POST", "alertmanager", "/api/v2/silences"),
        ("POST", "alertmanager", "/api/v2/alerts"),
        ("GET", "alertmanager", "/api/v2/status"),
        ("POST", "pushgateway", PUSHED.replace("tradebot_retrain", "evil")),
        ("DELETE", "pushgateway", PUSHED),
        ("GET", "pushgateway", "/metrics"),
    ]
    direct = [(method, desk.address(server) + path) for method, server, path in paths]
    by_pages = [(method, f"{desk.pages}/{server}{path}") for method, server, path in paths]
    localhost = [(method, url.replace("127.0.0.1", "localhost")) for method, url in by_pages]
    own = [("GET", f"{desk.pages}/"), ("POST", f"{desk.pages}/logout"), ("GET", f"{desk.pages}/metrics")]
    return [*direct, *by_pages, *localhost, *own]


@asynccontextmanager
async def hostile_site() -> AsyncIterator[int]:
    """Serve an empty page under whatever name, and yield its port."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><body>", content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", page)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def operator(desk: Desk, tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser in which somebody has followed the link of `nightdesk login`."""
    async with started(tmp_path / "profile") as browser:
        await browser.open(login_link(desk.settings))
        assert "No critical alert is silenced" in await browser.evaluate("document.body.textContent")
        yield browser


async def is_logged_in(browser: Browser, desk: Desk) -> bool:
    await browser.open(f"{desk.pages}/")
    return "Log out" in await browser.evaluate("document.body.textContent")


def posted(path: str, body: object) -> str:
    """Return a script that posts JSON and is the answer's status."""
    options = (
        f"{{method: 'POST', body: {json.dumps(json.dumps(body))}, headers: {{'Content-Type': 'application/json'}}}}"
    )
    return f"fetch('{path}', {options}).then((answer) => answer.status)"


@pytest.mark.parametrize("name", [EVIL, "127.0.0.1", "localhost"])
async def test_known_failure_22_a_page_of_another_origin_silences_reads_and_pushes_nothing(
    operator: Browser, desk: Desk, name: str
) -> None:
    """Of another site, and of another port of this machine, which to the browser is the same site."""
    async with hostile_site() as port:
        await operator.open(f"http://{name}:{port}/")
        tries, body = json.dumps(ways(desk)), json.dumps(json.dumps(TEN_YEARS))
        assert await operator.evaluate(TRY_EVERYTHING.replace("WAYS", tries).replace("BODY", body)) == []
    assert desk.is_untouched()
    assert await is_logged_in(operator, desk), "and the page has not logged the operator out"


@pytest.mark.parametrize("server", SERVERS)
async def test_a_site_that_points_its_name_at_a_server_is_asked_for_a_password(
    operator: Browser, desk: Desk, server: str
) -> None:
    """DNS rebinding: to the browser the answers are the site's own. Without a screen it asks nobody, and gives up."""
    with pytest.raises(RuntimeError, match="ERR_INVALID_AUTH_CREDENTIALS"):
        await operator.open(f"http://{EVIL}:{desk.settings.port(server)}/")  # type: ignore[arg-type]


async def test_a_site_that_points_its_name_at_the_page_server_reads_nothing(operator: Browser, desk: Desk) -> None:
    await operator.open(f"http://{EVIL}:{desk.settings.port('pages')}/")
    assert "is not answered" in await operator.evaluate("document.body.textContent")
    asked = ["/", "/metrics", "/login", f"/prometheus{EQUITY}", "/alertmanager/api/v2/alerts"]
    fetched = f"Promise.all({json.dumps(asked)}.map(async (path) => (await fetch(path)).status))"
    assert await operator.evaluate(fetched) == [421] * len(asked)
    assert await operator.evaluate(posted("/alertmanager/api/v2/silences", TEN_YEARS)) == 421
    assert desk.is_untouched()


async def test_the_operator_s_own_page_does_what_the_hostile_one_may_not(operator: Browser, desk: Desk) -> None:
    """So that what fails above fails for where it comes from."""
    await operator.open(f"{desk.pages}/prometheus/metrics")
    read = await operator.evaluate(f"fetch('/prometheus{EQUITY}').then((answer) => answer.text())")
    assert "12345" in read
    one = [{"name": "alertname", "value": "TradebotDown", "isRegex": False}]
    assert await operator.evaluate(posted("/alertmanager/api/v2/silences", {**TEN_YEARS, "matchers": one})) == 200
    (found,) = desk.silences()
    await operator.open(f"{desk.pages}/")
    async with asyncio.timeout(30):
        while found["id"] not in await operator.evaluate("document.body.innerHTML"):
            await asyncio.sleep(0.2)
            await operator.open(f"{desk.pages}/")
    await operator.evaluate("document.querySelector('form[action^=\"/silences/\"] button').click()")
    async with asyncio.timeout(10):
        while desk.silences():
            await asyncio.sleep(0.1)
    assert desk.is_untouched()


async def test_a_link_on_another_site_leads_to_where_it_says_with_the_cookie(operator: Browser, desk: Desk) -> None:
    """As in a message of a web mail program."""
    async with hostile_site() as port:
        await operator.open(f"http://{EVIL}:{port}/")
        await operator.evaluate(f"location.href = {json.dumps(f'{desk.pages}/prometheus{EQUITY}')}")
        shown = "document.body ? document.body.textContent : ''"
        await operator.until(shown, "the answer", holds=lambda text: "12345" in text)

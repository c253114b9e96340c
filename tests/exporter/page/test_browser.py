"""The page in a real browser: it fits, it is readable, it goes on by itself, and a dead bot does not look alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bcrypt
from nightdesk_exporter import BotExporter
from nightdesk_exporter.health.issues import Health, Verdict
from nightdesk_exporter.page import document
from nightdesk_exporter.server import ExporterServer
from prometheus_client import CollectorRegistry

from tests.exporter.conftest import BTC, Clock
from tests.exporter.page.browser import Browser
from tests.exporter.page.conftest import EVIL, STATES, view

FITS = "document.documentElement.scrollWidth <= innerWidth"
WORD = "document.querySelector('#verdict-title').textContent"
LOST = "document.querySelector('#lost').checkVisibility()"
SIZES = """[...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() &&
    [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((each) => parseFloat(getComputedStyle(each).fontSize))"""


class Served:
    """A server whose page shows a bot in a state; `asked` counts how often it was."""

    def __init__(self, state: str, *, web_config_file: Path | None = None) -> None:
        self.clock = Clock()
        self.exporter: BotExporter = STATES[state](self.clock)
        self.asked = 0
        self._web_config_file = web_config_file
        self.server = self.serve(port=0)

    def serve(self, *, port: int) -> ExporterServer:
        """Serve, also again on the same port."""
        server = ExporterServer(
            CollectorRegistry(),
            host="127.0.0.1",
            port=port,
            health=lambda: Health(Verdict.HEALTHY, ()),
            status=self.exporter.status,
            page=self._page,
            web_config_file=self._web_config_file,
        )
        self.server = server
        return server

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def _page(self) -> str:
        self.asked += 1
        return document(view(self.exporter, self.clock))


@asynccontextmanager
async def serving(state: str, *, web_config_file: Path | None = None) -> AsyncIterator[Served]:
    """Serve a bot in a state."""
    served = Served(state, web_config_file=web_config_file)
    try:
        yield served
    finally:
        await asyncio.to_thread(served.server.close)


async def test_every_state_fits_every_screen_in_both_themes_and_nothing_goes_wrong_in_it(browser: Browser) -> None:
    for state in STATES:
        async with serving(state) as served:
            for theme in ("light", "dark"):
                for width in (320, 390, 1280):
                    await browser.open(served.server.url, width=width, theme=theme)
                    assert await browser.evaluate(FITS), (state, theme, width)
                    assert min(await browser.evaluate(SIZES)) >= 12, (state, theme, width)
            await browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
            await browser.look(width=390)
            assert await browser.evaluate(FITS), (state, "all unfolded")
    assert browser.console == []


async def test_the_themes_differ_as_the_system_wishes(browser: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with serving("healthy") as served:
        await browser.open(served.server.url, theme="light")
        assert await browser.evaluate(ground) == "rgb(242, 244, 247)"
        await browser.look(width=390, theme="dark")
        assert await browser.evaluate(ground) == "rgb(14, 17, 22)"


async def test_what_comes_from_outside_is_not_run(browser: Browser) -> None:
    async with serving("evil") as served:
        await browser.open(served.server.url)
        assert (await browser.evaluate("document.title")).startswith("Degraded · <script>")
        await browser.evaluate("refresh()")
        assert EVIL in await browser.evaluate("document.querySelector('#trading').textContent")
        assert await browser.evaluate("document.scripts.length") == 1
        assert await browser.evaluate("document.images.length") == 0
    assert browser.console == []


async def test_a_screen_reader_finds_landmarks_headings_and_what_the_charts_show(browser: Browser) -> None:
    async with serving("healthy") as served:
        await browser.open(served.server.url)
        await browser.call("Accessibility.enable")
        tree = (await browser.call("Accessibility.getFullAXTree"))["nodes"]
    told = [
        (node["role"]["value"], node["name"]["value"], node.get("description", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and "name" in node
    ]
    roles = [role for role, _, _ in told]
    assert {"banner", "main", "contentinfo"} <= set(roles)
    assert [name for role, name, _ in told if role == "heading"] == [
        "Status of the bot btc",
        "Healthy",
        *("Bot", "Trading", "Model", "Risk", "Equity in USDT", "Drawdown", "Last events"),
    ]
    drawings = [name for role, name, _ in told if role == "image"]
    assert len(drawings) == 2
    assert drawings[0].startswith("Equity over time First ")
    assert "highest" in drawings[1]
    assert {"columnheader", "rowheader"} <= set(roles)


async def test_it_follows_the_bot_by_itself_and_says_a_new_verdict_once(browser: Browser) -> None:
    async with serving("healthy") as served:
        await browser.open(served.server.url)
        assert await browser.evaluate(WORD) == "Healthy"
        assert await browser.evaluate("document.querySelector('#said').textContent") == ""
        served.exporter.kill_switch(active=True, reason="by hand")
        served.clock.now += 5
        await browser.until(f"{WORD} === 'Degraded'", "the next verdict")
        assert await browser.evaluate("document.title") == "Degraded · btc"
        said = "document.querySelector('#said').textContent"
        assert await browser.evaluate(said) == "btc: Degraded. the kill switch is active: by hand"
        assert await browser.evaluate("document.querySelector('#said').ariaLive") == "polite"
        await browser.evaluate("document.querySelector('#said').textContent = ''; refresh()")
        assert await browser.evaluate(said) == ""


async def test_a_refresh_leaves_scroll_focus_selection_and_what_was_opened_alone(browser: Browser) -> None:
    async with serving("many") as served:
        await browser.open(served.server.url)
        await browser.evaluate(
            """document.querySelector('#regimes').open = true;
            document.querySelector('#positions summary').focus();
            scrollTo(0, 900);
            getSelection().selectAllChildren(document.querySelector('#risk h2'))"""
        )
        served.exporter.kill_switch(active=True, reason="by hand")  # an issue more, above all of it
        served.exporter.event("something new")
        await browser.evaluate("refresh()")
        assert await browser.evaluate(WORD) == "Degraded"
        assert await browser.evaluate("document.querySelector('#regimes').open") is True
        assert await browser.evaluate("document.querySelector('#candles').open") is False
        assert await browser.evaluate("document.activeElement.closest('details').id") == "positions"
        assert await browser.evaluate("getSelection().toString()") == "Risk"
        # The browser itself keeps what is read in place where something grows above it.
        assert await browser.evaluate("scrollY") >= 900


async def test_what_was_opened_stays_so_where_its_place_among_others_changes(browser: Browser) -> None:
    async with serving("many") as served:
        await browser.open(served.server.url)
        await browser.evaluate("document.querySelector('#regimes').open = true")
        for symbol in list(served.exporter.snapshot.positions):
            served.exporter.position(symbol, None)
        await browser.evaluate("refresh()")
        assert await browser.evaluate("document.querySelector('#positions')") is None
        assert await browser.evaluate("document.querySelector('#regimes').open") is True


async def test_a_bot_that_is_dead_does_not_look_alive_and_one_that_is_back_does(browser: Browser) -> None:
    async with serving("healthy") as served:
        await browser.open(served.server.url)
        port = served.port
        assert await browser.evaluate(LOST) is False
        await asyncio.to_thread(served.server.close)
        await browser.until(LOST, "the page to say that the bot does not answer")
        assert await browser.evaluate("document.querySelector('#lost-word').textContent") == "No answer"
        since = await browser.evaluate("document.querySelector('#lost-since').textContent")
        assert since.startswith("not reachable since ")
        assert await browser.evaluate("document.querySelector('#lost-why').textContent") == (
            "Asked every 5 s: nothing answers. What is below is as it was then, and may be wrong by now."
        )
        assert await browser.evaluate("document.title") == "No answer · btc"
        assert await browser.evaluate("document.querySelector('#age').textContent.endsWith(' s old')")
        # No age is left that would go on to say that all is fresh.
        assert " ago" not in await browser.evaluate("document.querySelector('main').textContent")
        assert "just now" not in await browser.evaluate("document.querySelector('main').textContent")
        assert await browser.evaluate(FITS)
        served.serve(port=port)
        await browser.until(f"!({LOST})", "the page to notice that the bot is back")
        assert await browser.evaluate("document.title") == "Healthy · btc"
        assert "just now" in await browser.evaluate("document.querySelector('#bot').textContent")


async def test_a_page_that_nobody_sees_does_not_ask_and_asks_at_once_when_it_is_seen_again(browser: Browser) -> None:
    hidden = """Object.defineProperty(document, 'hidden', {{get: () => {}, configurable: true}});
        document.dispatchEvent(new Event('visibilitychange'))"""
    async with serving("healthy") as served:
        await browser.open(served.server.url)
        await browser.evaluate(hidden.format("true"))
        asked = served.asked
        await asyncio.sleep(6)  # that nothing happens cannot be awaited: the page asks every 5 s
        assert served.asked == asked
        await browser.evaluate(f"answeredAt -= 60000; {hidden.format('false')}")
        # Until the answer is there it does not show an old verdict as a new one.
        await browser.until(f"!({LOST})", "the answer")
        assert served.asked == asked + 1


async def test_what_was_hidden_for_long_says_that_it_asks_until_it_knows(browser: Browser) -> None:
    async with serving("healthy") as served:
        await browser.open(served.server.url)
        word = await browser.evaluate(
            """window.fetch = () => new Promise(() => {}); answeredAt -= 60000;
            document.dispatchEvent(new Event('visibilitychange'));
            document.querySelector('#lost-word').textContent"""
        )
        assert word == "Asking …"
        assert await browser.evaluate(LOST)


async def test_without_scripts_it_refreshes_all_the_same(browser: Browser) -> None:
    async with serving("degraded") as served:
        await browser.call("Emulation.setScriptExecutionDisabled", value=True)
        await browser.open(served.server.url)
        asked = served.asked
        async with asyncio.timeout(20):
            while served.asked == asked:
                await asyncio.sleep(0.05)


async def test_a_password_in_the_address_serves_the_refreshes_too(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{desk: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()!r}}}\n")
    async with serving("healthy", web_config_file=file) as served:
        await browser.open(served.server.url.replace("//", "//desk:secret@"))
        served.exporter.position(BTC, "short", size_ratio=0.3)
        await browser.evaluate("refresh()")
        assert "short" in await browser.evaluate("document.querySelector('#positions, #trading').textContent")
        assert await browser.evaluate("why") == ""
    assert browser.console == []


async def test_a_web_site_that_points_its_name_at_this_machine_reads_nothing(browser: Browser) -> None:
    """DNS rebinding: the browser takes both for the same site."""
    async with serving("healthy") as served:
        await browser.open(f"http://bot.evil.example:{served.port}/")
        text = await browser.evaluate("document.body.textContent")
        assert "is not answered without a password" in text
        asked = served.asked
        found = await browser.evaluate("fetch('/').then(async (answer) => [answer.status, await answer.text()])")
        assert found[0] == 421
        assert "USDT" not in found[1]
        assert served.asked == asked


def test_the_states_are_what_they_are_called() -> None:
    for state in ("unknown", "healthy", "degraded", "unhealthy"):
        clock = Clock()
        assert STATES[state](clock).status()["bot"]["health"] == state

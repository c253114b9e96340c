"""What stands on the page, as HTML: in each state of the bot, by people's words, and well-formed for who cannot see."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from nightdesk_exporter import BotExporter
from nightdesk_exporter.page import document
from nightdesk_exporter.page.runbooks import runbook

from tests.exporter.conftest import BTC, NOW, Clock, make
from tests.exporter.page.conftest import EVIL, STATES, page, view

VOID = {"meta", "link", "br", "img"}


class Tree(HTMLParser):
    """Takes a page apart, and insists that what is opened is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each such element."""
        return [attributes for name, attributes in self.tags if name == tag]


def words(state: str) -> str:
    """Return what is read on the page of a bot in a state, its spaces made single."""
    return " ".join(Tree(page(state)).text.split())


@pytest.mark.parametrize("state", STATES)
def test_every_state_s_page_is_well_formed_with_one_id_each_and_headings_in_order(state: str) -> None:
    tree = Tree(page(state))
    assert [tag for tag, _ in tree.tags if tag in ("header", "main", "footer")] == ["header", "main", "footer"]
    assert tree.all("html") == [{"lang": "en"}]
    ids = Counter(attributes["id"] for _, attributes in tree.tags if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    referred = [
        name for _, attributes in tree.tags for name in (attributes.get("aria-labelledby") or "").split() if name
    ]
    assert referred
    assert set(referred) <= set(ids)
    headings = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert set(headings[1:]) == {2}


@pytest.mark.parametrize("state", STATES)
def test_every_table_s_headings_say_what_they_are_the_headings_of(state: str) -> None:
    tree = Tree(page(state))
    assert {attributes.get("scope") for attributes in tree.all("th")} <= {"col", "row"}
    assert len(tree.all("caption")) == len(tree.all("table")) > 0


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_loaded_from_outside_and_no_style_needs_more_than_the_policy_allows(state: str) -> None:
    tree = Tree(page(state))
    links = [value for _, attributes in tree.tags for name, value in attributes.items() if name in ("src", "href")]
    assert {link.partition(",")[0] for link in links if link and not link.startswith("runbooks/")} == {
        "status",
        "healthz",
        "metrics",
        "data:image/svg+xml",
    }
    assert not [attributes for _, attributes in tree.tags if any(name.startswith("on") for name in attributes)]
    assert not [attributes for _, attributes in tree.tags if "style" in attributes]


@pytest.mark.parametrize(
    ("state", "title", "said"),
    [
        ("unknown", "Unknown · btc", "Unknown just now The bot's loop has not turned yet."),
        ("healthy", "Healthy · btc", "Healthy just now The bot does its work, and nothing needs a look."),
        (
            "degraded",
            "Degraded · btc",
            "Degraded just now The kill switch is on: nothing is entered",
        ),
        (
            "unhealthy",
            "Unhealthy · btc",
            "Unhealthy just now The kill switch is on: nothing is entered",
        ),
        ("stopped", "Stopped · btc", "Stopped The bot ended by ZeroDivisionError: division by zero"),
    ],
)
def test_the_verdict_comes_first_in_a_word_with_a_shape_of_its_own(state: str, title: str, said: str) -> None:
    text = page(state)
    assert f"<title>{title}</title>" in text
    main = text[text.index("<main>") :]
    assert main.startswith('<main><section class="verdict')
    assert " ".join(Tree(main.partition("</main>")[0] + "</main>").text.split()).startswith(said)


def test_no_two_verdicts_share_a_shape() -> None:
    shapes = {
        state: re.findall(r"<svg class=\"icon\".*?</svg>", page(state).partition("<main>")[2])[0]
        for state in ("unknown", "healthy", "degraded", "unhealthy")
    }
    assert len(set(shapes.values())) == 4


def test_each_issue_says_its_cause_its_verdict_since_when_and_its_alert_the_worst_first(clock: Clock) -> None:
    exporter = STATES["degraded"](clock)
    exporter.health()
    clock.now += 200
    text = " ".join(Tree(document(view(exporter, clock))).text.split())
    stalled = "No turn of the loop for 200 s, the limit is 120 s Unhealthy · for 1 min · alert TradebotLoopStalled"
    reduced = (
        "The guard reduces trading: 5 losses in a row, the limit is 4 Degraded · for 3 min · alert TradebotGuardReduced"
    )
    assert text.index(stalled) < text.index(reduced)


def test_an_active_kill_comes_before_a_drawdown_and_before_a_loop_that_stands_still() -> None:
    text = words("unhealthy")
    assert text.index("The kill switch is active: by hand") < text.index("No turn of the loop")
    assert text.index("No turn of the loop") < text.index("The guard reduces trading")


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ({"equity": 8_700.0, "peak": 10_700.0}, "The bot does its work, but its account is past a limit."),
        ({"equity": 10_000.0, "daily_pnl_ratio": -0.2}, "The bot does its work, but its account is past a limit."),
        ({"equity": 10_700.0}, "The bot does its work, and nothing needs a look."),
    ],
)
def test_a_bot_whose_account_is_past_a_limit_does_its_work(account: dict[str, float], said: str, clock: Clock) -> None:
    exporter = STATES["healthy"](clock)
    value = account.pop("equity")
    exporter.equity(value, **account)
    assert said in " ".join(Tree(document(view(exporter, clock))).text.split())


@pytest.mark.parametrize("state", STATES)
def test_each_alert_leads_to_its_runbook(state: str) -> None:
    alerts = re.findall(r"<code>(Tradebot\w+)</code>", page(state))
    links = re.findall(r'href="runbooks/(\w+)"', page(state))
    assert links == alerts
    assert all("## Mitigation" in (runbook(f"prometheus/runbooks/{name}.md") or "") for name in links)


def test_what_was_never_reported_is_folded_into_a_line_of_each_card() -> None:
    text = page("unknown")
    names = [attributes["id"] for attributes in Tree(text).all("details")]
    assert names == ["bot-unreported", "trading-unreported", "model-unreported", "risk-unreported"]
    assert "Not reported (4) Version, Standing, Trained, Its data end" in words("unknown")
    assert text.count('class="unknown">unknown') <= 2, "a candle that is expected is no fact"


def test_an_issue_without_an_alert_says_that_it_wakes_nobody(full: BotExporter, clock: Clock) -> None:
    full.equity(-1.0)
    assert "Degraded · just now · wakes nobody" in " ".join(Tree(document(view(full, clock))).text.split())


def test_everything_known_is_shown_in_people_s_words() -> None:
    text = words("healthy")
    for said in (
        "Last turn of the loop just now",
        "Candle stream connected just now",
        "Market time 2019-10-17 08:59 UTC",
        "BTC/USDT:USDT 1h just now just now",
        "Performance guard normal calibrated limits",
        "E-value 1.5 of 24 signals",
        "Kill switch off",
        "Trades in 24 h 2",
        "Regime trending up BTC/USDT:USDT",
        "BTC/USDT:USDT long 45.00 %",
        "Version v1 Standing provisional Trained 24 h ago limit 90 days Its data end 2019-10-17 08:00 UTC",
        "Trades 20 \N{EN DASH} Won 40.0 % 45.0 % Sharpe ratio 0.90 1.20",
        "Equity 10,500.00 USDT Peak 10,700.00 USDT Drawdown 1.87 % limits 5 % and 10 %",
        "Profit and loss today +0.40 % limit \N{MINUS SIGN}5 %",
        "Leverage 0.45 limit 2.50",
        "info closed BTC/USDT:USDT: -40.00 USDT just now",
    ):
        assert said in text


def test_what_holds_the_bot_back_is_said_with_its_reason() -> None:
    text = words("unhealthy")
    assert "Performance guard reduced 5 losses in a row, the limit is 4 calibrated limits" in text
    assert "In the shadow 50.0 % won since the guard moved; 2.00 % below its peak" in text
    assert "Kill switch active by hand" in text
    assert "Loading failed the manifest's hash of model.txt is another" in text
    assert "Drawdown 18.69 % limits 5 % and 10 %, passed" in text


def test_what_is_not_known_is_said_to_be_unknown_and_never_0() -> None:
    main = words("unknown")
    values = re.findall(r"<dd>(.*?)</dd>", page("unknown"))
    known = [value for value in values if "unknown" not in value]
    assert len(known) == 1  # when it was started
    assert "No equity has been reported yet." in main
    assert "Nothing has happened yet." in main
    assert not re.search(r"(?<![\d:.])0(?![\d:])", main.partition("limits")[0].partition("Bot")[2])


def test_a_time_is_told_as_an_age_with_the_exact_one_behind_it(full: BotExporter, clock: Clock) -> None:
    clock.now = NOW + 185
    assert (
        "<dt>Last turn of the loop</dt>"
        '<dd><time datetime="2019-10-17T09:00:00Z" title="2019-10-17 09:00:00 UTC">3 min ago</time></dd>'
    ) in document(view(full, clock))


def test_nothing_that_comes_from_outside_is_more_than_text() -> None:
    text = page("evil")
    assert EVIL not in text
    tree = Tree(text)
    assert len(tree.all("script")) == 1
    assert tree.all("img") == []
    assert tree.text.count(EVIL) > 40


def test_lists_of_many_symbols_are_folded_and_summed_up() -> None:
    text = page("many")
    tree = Tree(text)
    assert [attributes["id"] for attributes in tree.all("details")] == ["candles", "positions", "regimes"]
    assert not [attributes for attributes in tree.all("details") if "open" in attributes]
    said = " ".join(tree.text.split())
    assert "Candles by symbol (241)" in said
    assert "81 trending up 80 ranging 80 high volatility" in said
    assert Tree(page("healthy")).all("details") == []


def test_a_candle_that_is_expected_and_never_came_is_listed_as_unknown(clock: Clock) -> None:
    exporter = make(clock)
    exporter.heartbeat()
    assert f"{BTC} 1h unknown unknown" in " ".join(Tree(document(view(exporter, clock))).text.split())


def test_events_are_newest_first_with_their_level_in_words_and_the_earlier_ones_folded(
    exporter: BotExporter, clock: Clock
) -> None:
    for number in range(14):
        exporter.event(f"event {number}", level="WARNING" if number % 2 else "INFO")
        clock.now += 60
    text = " ".join(Tree(document(view(exporter, clock))).text.split())
    told = re.findall(r"(info|warning) event (\d+)", text)
    assert [int(number) for _, number in told] == list(range(13, -1, -1))
    assert text.index("Earlier events (4)") > text.index("event 4 ")
    assert text.index("Earlier events (4)") < text.index("event 3 ")


def test_without_a_script_the_page_refreshes_itself() -> None:
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page("healthy")

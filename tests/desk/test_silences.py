"""What Alertmanager keeps from people: which silences mute critical alerts, for how long, and who set them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from nightdesk.answers import AnswerError
from nightdesk.check.result import SetupError
from nightdesk.check.silences import check_silences
from nightdesk.passwords import url_with_login
from nightdesk.render.configuration import render
from nightdesk.settings import Settings, load
from nightdesk.silences import Matcher, Muted, Silence, look, shown
from nightdesk.stack.servers import alertmanager_command
from nightdesk.stack.tools import Tools
from nightdesk_alerts.catalogue import ALERTS
from nightdesk_core.clock import WallTime, iso
from nightdesk_core.text import line

from tests.desk.pages.conftest import awaited

NOW = WallTime(1_800_000_000.0)
HOUR, DAY = 3600.0, 86_400.0
DOWN = {"alertname": "TradebotDown"}
CRITICAL = [alert.name for alert in ALERTS if "critical" in alert.summaries]


def silence(
    matchers: dict[str, str], *, start: float = -HOUR, end: float = HOUR, regex: bool = False, equal: bool = True
) -> Silence:
    """Return a silence whose times are seconds from now."""
    state = "expired" if end < 0 else "pending" if start > 0 else "active"
    document = {
        "id": "2cedc6db-f566-4657-bb22-2b61ae5d8f86",
        "status": {"state": state},
        "matchers": [
            {"name": name, "value": value, "isRegex": regex, "isEqual": equal} for name, value in matchers.items()
        ],
        "startsAt": iso(NOW + start),
        "endsAt": iso(NOW + end),
        "createdBy": "alice",
        "comment": "holidays",
        "updatedAt": iso(NOW),
    }
    return Silence.model_validate(document)


def muted(*silences: Silence) -> Muted:
    return Muted(silences, ())


@pytest.mark.parametrize(
    ("matchers", "more", "names"),
    [
        (DOWN, {}, ["TradebotDown"]),
        ({"alertname": ".+"}, {"regex": True}, CRITICAL),
        ({"alertname": ""}, {"equal": False}, CRITICAL),
        ({"severity": "critical"}, {}, CRITICAL),
        ({"severity": "warning|info"}, {"regex": True}, []),
        ({"alertname": "Tradebot"}, {"regex": True}, []),
        ({"bot": "btc"}, {}, [alert.name for alert in ALERTS if "critical" in alert.summaries and alert.of_a_bot]),
        ({"bot": "eth"}, {}, []),
        ({"bot": ""}, {}, [alert.name for alert in ALERTS if "critical" in alert.summaries and not alert.of_a_bot]),
        ({"alertname": "TradebotCandleStale", "symbol": "BTC/USDT"}, {}, ["TradebotCandleStale"]),
        ({"alertname": "TradebotDown", "symbol": "BTC/USDT"}, {}, []),
        ({"instance": "a"}, {}, []),
    ],
)
def test_a_silence_mutes_what_its_matchers_fit(
    matchers: dict[str, str], more: dict[str, bool], names: list[str]
) -> None:
    found = silence(matchers, **more)
    assert [alert.name for alert in ALERTS if "critical" in alert.summaries and found.mutes(alert, "btc")] == names


def test_of_a_silence_for_another_bot_is_told_though_this_bot_s_alerts_are_heard() -> None:
    found = muted(silence({"bot": "eth"}))
    assert found.silenced_ratio("btc") == 0
    assert found.silenced_ratio("eth") == 1
    assert len(list(found.sentences())) == 1


def test_a_regular_expression_that_other_libraries_never_come_to_an_end_with_takes_no_time() -> None:
    begun = time.monotonic()
    assert silence({"alertname": "((a|[A-Za-z])+)+!"}, regex=True).mutes(ALERTS[0], "btc") is False
    assert time.monotonic() - begun < 1


@given(st.text(max_size=30))
def test_whatever_stands_as_a_regular_expression_gives_an_answer(text: str) -> None:
    matcher = Matcher.model_validate({"name": "alertname", "value": text, "isRegex": True, "isEqual": True})
    assert matcher.matches("TradebotDown") in (True, False)


@pytest.mark.parametrize(
    ("stretches", "seconds"),
    [
        ([], 0),
        ([(-HOUR, HOUR)], 2 * HOUR),
        ([(-HOUR, 3650 * DAY)], 3650 * DAY + HOUR),
        ([(-3 * DAY, -2 * DAY)], 0),
        ([(HOUR, DAY)], 0),
        ([(-DAY, -1), (-1, HOUR)], DAY + HOUR),
        ([(-HOUR, HOUR), (HOUR - 60, DAY)], DAY + HOUR),
        ([(-DAY, -600), (-HOUR / 12 - 1, HOUR)], DAY + HOUR),
        ([(-DAY, -700), (-300, HOUR)], HOUR + 300),
        ([(-2 * DAY, DAY), (-HOUR, HOUR)], 3 * DAY),
    ],
    ids=[
        "none",
        "one",
        "ten years",
        "over",
        "to come",
        "each after the other",
        "overlapping",
        "with five minutes between",
        "with more between",
        "one in another",
    ],
)
def test_silences_that_follow_each_other_are_one(stretches: list[tuple[float, float]], seconds: float) -> None:
    found = muted(*(silence(DOWN, start=start, end=end) for start, end in stretches))
    assert found.silenced_seconds("btc", now=NOW) == pytest.approx(seconds, abs=1)


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 10**6)), max_size=8), st.randoms())
def test_the_order_in_which_they_are_told_changes_nothing(pairs: list[tuple[int, int]], random: Any) -> None:
    found = [silence(DOWN, start=start, end=start + length) for start, length in pairs]
    before = muted(*found).silenced_seconds("btc", now=NOW)
    random.shuffle(found)
    assert muted(*found).silenced_seconds("btc", now=NOW) == before
    active = [length for start, length in pairs if start < 0 < start + length]
    assert before >= max(active, default=0) - 1
    assert (before > 1) >= bool(active)


def test_silences_of_two_alerts_make_no_longer_one_of_either() -> None:
    other = {"alertname": "TradebotUnhealthy"}
    found = muted(silence(DOWN, start=-DAY, end=60), silence(other, start=0, end=DAY))
    assert found.silenced_seconds("btc", now=NOW) == pytest.approx(DAY + 60, abs=1)


def test_a_sentence_says_who_until_when_why_and_what_in_one_line() -> None:
    (sentence,) = muted(silence({"alertname": "TradebotDown|TradebotUnhealthy"}, regex=True)).sentences()
    assert sentence == (
        "silence 2cedc6db-f566-4657-bb22-2b61ae5d8f86, by alice until "
        f"{iso(NOW + HOUR)} (holidays), mutes TradebotDown, TradebotUnhealthy"
    )


@given(st.text(max_size=300))
def test_what_somebody_wrote_is_shown_in_one_short_clean_line(text: str) -> None:
    words = shown(text)
    assert line(words) == words
    assert "\n" not in words
    assert len(words) <= 120


@pytest.fixture(scope="module")
def alone(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An Alertmanager without anybody who asks or sends."""
    from tests.e2e.conftest import free_ports

    home = tmp_path_factory.mktemp("home")
    file = home / "nightdesk.yml"
    file.write_text(f"home: {home}\nstack: {{ports: {{alertmanager: {free_ports(1)[0]}}}}}\n")
    settings = load(file)
    command = alertmanager_command(settings, tools, render(settings, out=home / "rendered"))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=home)
        try:
            url = url_with_login(settings, "alertmanager")
            awaited(lambda: requests.get(f"{url}/-/ready", timeout=5).ok, "Alertmanager")
            yield settings
        finally:
            process.terminate()
            process.wait(timeout=20)


def post(settings: Settings, path: str, body: Any) -> Any:
    answer = requests.post(f"{url_with_login(settings, 'alertmanager')}{path}", json=body, timeout=5)
    assert answer.ok, answer.text
    return answer.json() if answer.text else None


@pytest.mark.servers
def test_a_real_alertmanager_names_silences_and_inhibitions_of_critical_alerts(alone: Settings) -> None:
    assert check_silences(alone) == "no critical alert is silenced or inhibited"
    for name, severity in (("TradebotLoopStalled", "critical"), ("TradebotCandleStale", "critical")):
        post(alone, "/api/v2/alerts", [{"labels": {"alertname": name, "severity": severity, "bot": "btc"}}])
    inhibited = "TradebotCandleStale of btc fires and is told to nobody, inhibited by TradebotLoopStalled of btc"
    awaited(lambda: list(look(alone).sentences()) == [inhibited], "the inhibition")
    assert check_silences(alone) == inhibited

    body = {
        "matchers": [{"name": "alertname", "value": "TradebotDown", "isRegex": False}],
        "startsAt": iso(WallTime(time.time())),
        "endsAt": iso(WallTime(time.time() + HOUR)),
        "createdBy": "bob\x1b[31m",
        "comment": "noise\nWRONG  everything",
    }
    identity = post(alone, "/api/v2/silences", body)["silenceID"]
    first, second = look(alone).sentences()
    assert first.startswith(f"silence {identity}, by bob�[31m until ")
    assert first.endswith("(noise WRONG everything), mutes TradebotDown")
    assert second == inhibited
    assert first in check_silences(alone)

    post(alone, "/api/v2/silences", {**body, "id": identity, "endsAt": iso(WallTime(time.time() + 10 * 365 * DAY))})
    with pytest.raises(SetupError, match="nightdesk amtool silence expire"):
        check_silences(alone)


@pytest.mark.servers
def test_with_another_password_it_is_said_that_nothing_is_known_and_why(alone: Settings, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.mkdir()
    (passwords / "alertmanager_password").write_text("another")
    stack = alone.stack.model_copy(update={"passwords_dir": passwords})
    stranger = alone.model_copy(update={"stack": stack})
    with pytest.raises(AnswerError, match=r"answers 401: Alertmanager was started with another password"):
        look(stranger)
    assert check_silences(stranger).startswith("not known: http://127.0.0.1:")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[1]", b'[{"id": 1}]', b"[" * 100_000, b'[{"labels": 1}]', b'{"a": NaN}', b"\xff"],
    ids=["nothing", "half", "null", "numbers", "another", "deep", "labels", "NaN", "bytes"],
)
def test_an_answer_that_is_none_is_an_error_and_not_a_crash(body: bytes, tmp_path: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "nightdesk.yml"
        file.write_text(f"home: .\nstack: {{ports: {{alertmanager: {server.server_port}}}}}\n")
        with pytest.raises(AnswerError):
            look(load(file))
        server.shutdown()

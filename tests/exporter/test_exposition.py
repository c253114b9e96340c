"""What a scrape says, to the letter: what is unknown is not said, what is counted starts at 0."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
import requests
from nightdesk.stack.tools import Tools
from nightdesk_exporter import BotExporter
from nightdesk_exporter.metrics.catalogue import BOT, DESK, METRICS, PREFIX, RETRAIN, Kind
from nightdesk_exporter.metrics.families import family, info, state_set
from nightdesk_exporter.metrics.histogram import Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.conftest import BTC, NOW, Failing, samples, scrape

WITH_USE = {
    "exchange_request_failures",
    "instrumentation_errors",
    "orders_rejected",
}
"""Counters whose label values nobody knows beforehand."""
KNOWN_FROM_THE_START = ("limit", "report_expected", "config_loaded", "candle_interval", "candle_expected")


class Held:
    """A registry that holds what was collected before."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def block(text: str, name: str) -> str:
    """Return one family of an exposition: its help, its type and its samples."""
    start = text.index(f"# HELP {PREFIX}{name} ")
    end = text.find("# HELP ", start + 1)
    return text[start : end if end > 0 else None]


def test_a_gauge_reads_exactly_so(full: BotExporter) -> None:
    assert block(scrape(full), "drawdown_ratio") == (
        "# HELP tradebot_drawdown_ratio Loss from the true peak of the equity.\n"
        "# TYPE tradebot_drawdown_ratio gauge\n"
        "tradebot_drawdown_ratio 0.010000000000000009\n"
    )


def test_a_gauge_with_labels_reads_exactly_so(full: BotExporter) -> None:
    assert block(scrape(full), "open_positions") == (
        "# HELP tradebot_open_positions Open positions.\n"
        "# TYPE tradebot_open_positions gauge\n"
        'tradebot_open_positions{side="long",symbol="BTC/USDT:USDT"} 1.0\n'
        'tradebot_open_positions{side="short",symbol="BTC/USDT:USDT"} 0.0\n'
    )


def test_a_state_set_reads_exactly_so_with_unknown_first(full: BotExporter) -> None:
    assert block(scrape(full), "guard_state") == (
        "# HELP tradebot_guard_state How the performance guard lets the bot trade.\n"
        "# TYPE tradebot_guard_state gauge\n"
        'tradebot_guard_state{tradebot_guard_state="unknown"} 0.0\n'
        'tradebot_guard_state{tradebot_guard_state="normal"} 1.0\n'
        'tradebot_guard_state{tradebot_guard_state="reduced"} 0.0\n'
        'tradebot_guard_state{tradebot_guard_state="paused"} 0.0\n'
    )


def test_a_counter_reads_exactly_so(full: BotExporter) -> None:
    assert block(scrape(full), "signals_total") == (
        "# HELP tradebot_signals_total Candles decided on, by what became of them.\n"
        "# TYPE tradebot_signals_total counter\n"
        'tradebot_signals_total{outcome="no_signal",symbol="BTC/USDT:USDT"} 0.0\n'
        'tradebot_signals_total{outcome="entered",symbol="BTC/USDT:USDT"} 1.0\n'
    )


def test_an_info_reads_exactly_so(full: BotExporter) -> None:
    assert block(scrape(full), "model_info") == (
        "# HELP tradebot_model_info The model in use.\n"
        "# TYPE tradebot_model_info gauge\n"
        'tradebot_model_info{standing="provisional",version="v1"} 1.0\n'
    )


def test_the_whole_of_the_risk_reads_exactly_so(full: BotExporter) -> None:
    wanted = (
        "equity",
        "equity_peak",
        "daily_pnl_ratio",
        "leverage_ratio",
        "position_size_ratio",
        "drawdown_limit_ratio",
    )
    assert [line for name in wanted for line in samples(full, name)] == [
        'tradebot_equity{currency="USDT"} 9900.0',
        'tradebot_equity_peak{currency="USDT"} 10000.0',
        "tradebot_daily_pnl_ratio -0.002",
        "tradebot_leverage_ratio 0.45",
        'tradebot_position_size_ratio{symbol="BTC/USDT:USDT"} 0.45',
        'tradebot_drawdown_limit_ratio{level="warning"} 0.05',
        'tradebot_drawdown_limit_ratio{level="critical"} 0.1',
    ]


@pytest.mark.parametrize("name", [metric.full_name.removeprefix(PREFIX) for metric in BOT if metric.kind is Kind.GAUGE])
def test_what_is_unknown_emits_no_sample(name: str, exporter: BotExporter) -> None:
    # Settings are known from the start.
    assert [line for line in samples(exporter, name) if not any(part in line for part in KNOWN_FROM_THE_START)] == []


def test_unknown_drawdown_emits_no_sample(exporter: BotExporter) -> None:
    assert samples(exporter, "drawdown_ratio") == []
    exporter.equity(100.0)
    assert samples(exporter, "drawdown_ratio") == ["tradebot_drawdown_ratio 0.0"]


def test_state_sets_are_unknown_before_anything_is_known(exporter: BotExporter) -> None:
    assert samples(exporter, "guard_state")[0] == 'tradebot_guard_state{tradebot_guard_state="unknown"} 1.0'
    assert samples(exporter, "health_status")[0] == 'tradebot_health_status{tradebot_health_status="unknown"} 1.0'


@pytest.mark.parametrize("name", [metric.name for metric in METRICS.values() if metric.kind is Kind.STATE_SET])
def test_every_state_set_puts_unknown_first_and_has_one_state_at_a_time(name: str) -> None:
    metric = METRICS[name]
    assert metric.states[0] == "unknown"
    for state in metric.states:
        found = state_set(name, {("x",) * len(metric.labels): state})
        assert [sample.labels[f"tradebot_{name}"] for sample in found.samples if sample.value == 1.0] == [state]


def test_every_counter_exists_at_0_from_the_start(exporter: BotExporter) -> None:
    for metric in BOT:
        if metric.kind is Kind.COUNTER and metric.name not in WITH_USE:
            lines = samples(exporter, f"{metric.name}_total")
            assert lines, metric.name
            assert all(line.endswith(" 0.0") for line in lines)


def test_every_metric_that_is_collected_is_in_the_catalogue_and_the_other_way_round(full: BotExporter) -> None:
    full.note_error("a test", ValueError("wrong"))
    full.candle_rejected(BTC, "1h", open_time=NOW, reason="has a negative volume")
    full.listed(BTC, listed=True)
    full.registry.register(Failing())
    scrape(full)
    full.snapshot.counters["alerts_dropped", "expired"] = 1.0
    families = {
        found.name: found for found in text_string_to_metric_families(scrape(full)) if found.name.startswith(PREFIX)
    }
    catalogued = {metric.full_name.removesuffix("_total"): metric for metric in BOT}
    assert families.keys() == catalogued.keys()
    for name, found in families.items():
        assert found.samples, f"{name} has no sample though everything is known"
        metric = catalogued[name]
        labels = {*metric.labels, *([f"{PREFIX}{metric.name}"] if metric.kind is Kind.STATE_SET else [])}
        assert {frozenset(sample.labels) - {"le"} for sample in found.samples} == {frozenset(labels)}
        assert found.documentation == metric.help


def test_the_catalogue_keeps_its_own_rules() -> None:
    assert len(METRICS) == len(BOT) + len(RETRAIN) + len(DESK)
    for metric in METRICS.values():
        assert metric.help.endswith(".")
        assert not metric.name.endswith(("_total", "_info"))
        assert "bot" not in metric.labels


def test_promtool_finds_nothing_wrong_with_a_full_scrape(full: BotExporter, tools: Tools) -> None:
    with full:
        answer = requests.get(f"{full.url}/metrics", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    done = subprocess.run(
        [tools.promtool, "check", "metrics"], input=answer.content, capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def test_a_histogram_reads_exactly_so(full: BotExporter) -> None:
    assert block(scrape(full), "decision_duration_seconds") == (
        "# HELP tradebot_decision_duration_seconds How long it took to decide on a candle.\n"
        "# TYPE tradebot_decision_duration_seconds histogram\n"
        + "".join(
            f'tradebot_decision_duration_seconds_bucket{{le="{bound}"}} {count}\n'
            for bound, count in (
                ("0.0005", "0.0"),
                ("0.001", "0.0"),
                ("0.0025", "0.0"),
                ("0.005", "1.0"),
                ("0.01", "1.0"),
                ("0.025", "1.0"),
                ("0.05", "1.0"),
                ("0.1", "1.0"),
                ("0.25", "1.0"),
                ("1.0", "1.0"),
                ("5.0", "1.0"),
                ("+Inf", "1.0"),
            )
        )
        + "tradebot_decision_duration_seconds_count 1.0\n"
        "tradebot_decision_duration_seconds_sum 0.004\n"
    )


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 3.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([1, 2, 1], 7.5)


def test_openmetrics_says_the_same_as_the_text_format_when_the_client_s_own_parsers_read_them(
    full: BotExporter,
) -> None:
    collected = list(full.registry.collect())

    def read(families: Iterable[Metric]) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
        return {
            (sample.name, frozenset(sample.labels.items()), sample.value)
            for found in families
            if found.name.startswith(PREFIX)
            for sample in found.samples
        }

    as_text = read(text_string_to_metric_families(generate_latest(Held(collected)).decode()))
    parsed: Any = openmetrics.text_string_to_metric_families  # the client's, without types
    encoded: Any = openmetrics_latest
    as_openmetrics = read(parsed(encoded(Held(collected)).decode()))
    assert as_openmetrics == as_text == read(collected)
    assert len(as_text) > 120


def test_a_prometheus_that_asks_for_openmetrics_gets_it(full: BotExporter) -> None:
    with full:
        answer = requests.get(
            f"{full.url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}, timeout=5
        )
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert "# TYPE tradebot_signals counter\n" in answer.text


def test_a_scrape_changes_nothing(full: BotExporter) -> None:
    def of_the_bot() -> list[str]:
        return [line for line in scrape(full).splitlines() if "tradebot_" in line]

    assert of_the_bot() == of_the_bot()


def test_a_family_skips_what_is_none_and_keeps_what_is_0() -> None:
    found = family("guard_value", {("drawdown",): None, ("losing_streak",): 0.0})
    assert [(sample.labels, sample.value) for sample in found.samples] == [({"rule": "losing_streak"}, 0.0)]
    assert info("model", None).samples == []

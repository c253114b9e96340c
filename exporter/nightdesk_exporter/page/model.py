"""Which model decides, how old it is, and how it does against what its backtest promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightdesk_core.units import DAY_SECONDS

from nightdesk_exporter.page.html import NOTHING, Html
from nightdesk_exporter.page.parts import Fact, bad, card, facts, note, table
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import UNKNOWN, age, date, number, share, term


def model_card(view: View) -> Html:
    """Return the model's section."""
    model, now = view.status["model"], view.now
    limit = note(f"limit {view.limits.model_age_seconds / DAY_SECONDS:.4g} days")
    rows = [
        ("Version", Html("<code>{}</code>").format(model["version"]) if model["version"] else UNKNOWN),
        ("Standing", term(model["standing"])),
        ("Trained", age(model["trained_at"], now=now) + limit),
        ("Its data end", date(model["data_end"])),
        *_expectation(model["expectation"]),
    ]
    if model["load_failure"]:
        rows.append(("Loading failed", bad(model["load_failure"])))
    return card("model", "Model", facts(rows, of="model") + _performance(model["performance"]))


def _expectation(values: Mapping[str, Any]) -> list[Fact]:
    """Return how strong the evidence is that the model is worse than was promised, where anything is known of it."""
    if values["evalue"] is None:
        return []
    signals = note(f"of {values['signals']} signals") if values["signals"] is not None else NOTHING
    verdict = bad("worse than promised") + note("a breach") if values["breached"] else NOTHING
    return [("E-value", number(values["evalue"], ".3g") + signals + verdict)]


def _performance(values: Mapping[str, Any]) -> Html:
    if all(value is None for value in values.values()):
        return NOTHING
    rows = [
        ("Trades", number(values["live_trades"], ".0f"), Html("\N{EN DASH}")),
        ("Won", share(values["live_win_ratio"], places=1), share(values["backtest_win_ratio"], places=1)),
        ("Sharpe ratio", number(values["live_sharpe_ratio"]), number(values["backtest_sharpe_ratio"])),
    ]
    return table("performance", "Live against backtest", ("Measure", "Live", "Backtest"), rows)

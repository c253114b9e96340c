"""What is at stake: equity, losses and leverage, each against its limit."""

from __future__ import annotations

from nightdesk_exporter.page.html import Html
from nightdesk_exporter.page.parts import bad, card, facts, note
from nightdesk_exporter.page.view import View
from nightdesk_exporter.page.words import limit, money, number, share


def risk_card(view: View) -> Html:
    """Return the risk's section."""
    risk, limits = view.status["risk"], view.limits
    drawdown, daily, leverage = risk["drawdown_ratio"], risk["daily_pnl_ratio"], risk["leverage_ratio"]
    warning, critical = limits.drawdown_warning_ratio, limits.drawdown_critical_ratio
    rows = [
        ("Equity", money(risk["equity"], risk["currency"])),
        ("Peak", money(risk["equity_peak"], risk["currency"])),
        (
            "Drawdown",
            _against(share(drawdown), f"limits {limit(warning)} and {limit(critical)}", past=_above(drawdown, warning)),
        ),
        (
            "Profit and loss today",
            _against(
                share(daily, signed=True),
                f"limit {limit(-limits.daily_loss_ratio)}",
                past=daily is not None and -daily > limits.daily_loss_ratio,
            ),
        ),
        (
            "Leverage",
            _against(
                number(leverage), f"limit {number(limits.leverage_ratio)}", past=_above(leverage, limits.leverage_ratio)
            ),
        ),
    ]
    return card("risk", "Risk", facts(rows, of="risk"))


def _above(value: float | None, most: float) -> bool:
    return value is not None and value > most


def _against(shown: Html, against: str, *, past: bool) -> Html:
    return (bad(shown) if past else shown) + note(against + (", passed" if past else ""))

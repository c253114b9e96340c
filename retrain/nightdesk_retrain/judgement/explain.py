"""A verdict in full: what it was judged on, what each criterion is for, and what follows. From the record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nightdesk_core.clock import iso
from nightdesk_core.units import DAY_SECONDS

_PURPOSE = {
    "sharpe_ratio": "that it earned more on days it had not seen than its swings explain",
    "profit_factor": "that what it won covers what it lost, and more",
    "max_drawdown": "that its worst fall is one that can be borne",
    "trades": "that there are enough trades to judge by",
    "common_days": "that candidate and champion can be compared at all: only days that neither has seen count",
    "sharpe_difference": "that it did better than the champion on those days",
    "sharpe_difference_lower_bound": "that it is not far worse, however the luck of those days fell",
    "deflated_sharpe": "that it is more than the luckiest of all that was tried",
}

_FOLLOWS = {
    "promoted": "it is the champion from the next candle on; `nightdesk models rollback` takes it back",
    "kept": "the champion stays; the candidate's bundle is kept, and the next retrain tries anew",
    "insufficient_evidence": "the champion stays: there is too little to compare by, good or bad",
    "dry_run": "nothing: it was a dry run",
}


def explain_verdict(recorded: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that explain a verdict, as the audit log records it."""
    data, training = recorded["data"], recorded["training"]
    days = (data["end"] - data["start"]) / DAY_SECONDS
    digest = data["fingerprint"][:12]
    yield f"data        {days:.0f} days up to {iso(data['end'])}, {data['rows']} rows, SHA-256 {digest}…"
    for warning in data["warnings"]:
        yield f"            {warning}"
    yield (
        f"training    {training['rows']} rows, {iso(training['start'])} to {iso(training['end'])};"
        f" the last label ended at {iso(training['last_label_end'])}"
    )
    for key, value in training.items():
        if key not in ("rows", "start", "end", "last_label_end"):
            yield f"            {key} {_told(value)}"
    yield f"hold-out    {_measured(recorded['candidate'])}"
    yield from _against_champion(recorded)
    for criterion in recorded["criteria"]:
        yield from _criterion(criterion)
    yield f"so          {recorded['decision']}: {recorded['reason']}"
    yield f"then        {_FOLLOWS[recorded['decision']]}"


def _against_champion(recorded: Mapping[str, Any]) -> Iterator[str]:
    comparison, champion = recorded["comparison"], recorded["champion"]
    if comparison is None:
        yield "champion    none, or none that can be loaded: there is nothing to compare with"
        return
    standing = f"{comparison['standing']}, past its age limit" if comparison["past_age"] else comparison["standing"]
    days = f"{comparison['common_days']:.0f} days that neither model has seen"
    yield f"champion    {comparison['version']}, {standing}; {days}"
    if champion is None:
        return
    yield f"            {_measured(champion)}"
    sharpe = comparison["sharpe"]
    yield (
        f"            candidate less champion: {_told(sharpe['difference'])} a year,"
        f" standard error {_told(sharpe['standard_error'])}, lower bound {_told(sharpe['lower_bound'])};"
        f" better with a probability of {_told(sharpe['probability'])}"
    )


def _criterion(criterion: Mapping[str, Any]) -> Iterator[str]:
    value, threshold = criterion["value"], criterion["threshold"]
    yield f"{'met' if criterion['passed'] else 'missed':11} {criterion['name']} {_told(value)}: {criterion['wording']}"
    yield f"            it asks {_PURPOSE.get(criterion['name'], 'what the settings say')}"
    if not criterion["passed"] and value is not None:
        yield f"            it misses by {abs(value - threshold):.4g}"


def _measured(performance: Mapping[str, Any]) -> str:
    parts = [
        f"{performance['days']} days",
        f"Sharpe {performance['sharpe_ratio']:.2f}",
        f"profit factor {_told(performance['profit_factor'])}",
        f"drawdown {performance['max_drawdown_ratio']:.1%}",
        f"{performance['trades']} trades",
    ]
    if performance["win_ratio"] is not None:
        parts.append(f"{performance['win_ratio']:.1%} won")
    # Verdicts of an older release do not know them.
    if performance.get("turnover_a_year") is not None:
        parts.append(f"turnover {performance['turnover_a_year']:.0f} times the equity a year")
    if performance.get("exposure_ratio") is not None:
        parts.append(f"in the market {performance['exposure_ratio']:.0%} of the time")
    return ", ".join(parts)


def _told(value: Any) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_told, value))
    if isinstance(value, dict):
        # The record sorts by name; shares are read from the largest on.
        by_size = all(isinstance(inner, float) for inner in value.values())
        items = sorted(value.items(), key=lambda item: -item[1]) if by_size else value.items()
        return ", ".join(f"{key} {_told(inner)}" for key, inner in items)
    return str(value)

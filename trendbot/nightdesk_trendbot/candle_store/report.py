"""Whether what was collected may be trained on, and the report on it that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nightdesk_core.clock import iso
from nightdesk_core.models.pipeline import DataError
from nightdesk_core.units import DAY_SECONDS

from nightdesk_trendbot.candle_store import quality
from nightdesk_trendbot.candle_store.alignment import check_alignment
from nightdesk_trendbot.candle_store.collect import Collected
from nightdesk_trendbot.candle_store.gather import Gathered, Market
from nightdesk_trendbot.candle_store.quality import Finding
from nightdesk_trendbot.candle_store.store import Rows
from nightdesk_trendbot.signals.candles import Candles

_NAMED = 20
"""Gaps and rows that a report names one by one."""

_MOST_REJECTED_SHARE = 0.01
"""Of a history more of which cannot be true, what is left is not to be trusted either: nothing is trained on it."""
_UNLISTED = Finding("unlisted", False, "the exchange does not list it, and nothing is trained or judged on it")


@dataclass(frozen=True)
class Examined:
    """The candles of every symbol, with funding, and what there is to say of them."""

    markets: Mapping[str, Candles]
    findings: Mapping[str, tuple[Finding, ...]]
    """By symbol; under the empty name those that concern several."""

    def refuse(self, timeframe: str) -> None:
        """Raise `DataError` naming every row that nothing may be trained on."""
        wrong = [
            f"{_prefix(symbol, timeframe)}{finding.message}"
            for symbol, findings in self.findings.items()
            for finding in findings
            if finding.stops
        ]
        if wrong:
            raise DataError("; ".join(wrong))

    def warnings(self) -> tuple[str, ...]:
        """Return what a person should know and nothing stops for."""
        return tuple(
            f"{symbol}: {finding.message}" if symbol else finding.message
            for symbol, findings in self.findings.items()
            for finding in findings
            if not finding.stops
        )


def examine(market: Market, *, interval_seconds: int, days: float) -> Examined:
    """Return the candles that were collected, and every finding."""
    markets: dict[str, Candles] = {}
    findings: dict[str, tuple[Finding, ...]] = dict.fromkeys(market.unlisted, (_UNLISTED,))
    for part in market.symbols:
        told = as_candles(part.candles.rows, interval_seconds)
        found = _impossible(part.candles, interval_seconds)
        if not any(finding.stops for finding in found):
            found += [
                *quality.check_series(told),
                *quality.check_coverage(told, days=days),
                *quality.check_rates(part.rates),
                *_funding_known(part, told),
            ]
        markets[part.symbol] = told.with_funding(part.rates)
        findings[part.symbol] = (*found, *_history(part))
    if len(markets) > 1 and not any(finding.stops for found in findings.values() for finding in found):
        findings[""] = tuple(check_alignment(markets))
    return Examined(markets, findings)


def report(market: Market, examined: Examined, *, source: str, timeframe: str, fingerprint: str) -> dict[str, Any]:
    """Return what a bundle says of its data, for people and as JSON. Times are the candles' opens."""
    symbols = {
        part.symbol: _symbol(part, examined.markets[part.symbol], examined.findings[part.symbol])
        for part in market.symbols
    }
    return {
        "summary": {
            "source": f"{source}, {timeframe}",
            **{symbol: _summary(part) for symbol, part in symbols.items()},
            "warnings": "; ".join(examined.warnings()) or "none",
        },
        "source": source,
        "timeframe": timeframe,
        "asked_from": iso(market.start),
        "asked_to": iso(market.stop),
        "fingerprint": fingerprint,
        "symbols": symbols,
        "unlisted": list(market.unlisted),
        "findings": [finding.to_json() for finding in examined.findings.get("", ())],
    }


def _summary(symbol: Mapping[str, Any]) -> str:
    counts = (
        f"{symbol['missing']} missing, {symbol['repaired']['count']} repaired, {symbol['revised']['count']} revised"
    )
    return f"{symbol['rows']} candles from {symbol['first']} to {symbol['last']}, {counts}"


def _symbol(part: Gathered, candles: Candles, findings: Sequence[Finding]) -> dict[str, Any]:
    interval = candles.interval_seconds
    gaps = quality.gaps(candles.time, interval)
    return {
        **_series(part.candles),
        "missing": sum(end - start for start, end in gaps) // interval,
        "gaps": [{"from": iso(start), "bars": (end - start) // interval} for start, end in gaps[:_NAMED]],
        "fingerprint": candles.fingerprint(),
        "findings": [finding.to_json() for finding in findings],
        "funding": None if part.funding is None else _series(part.funding),
    }


def _series(collected: Collected) -> dict[str, Any]:
    rows = collected.rows
    return {
        "rows": len(rows),
        "first": iso(float(rows.time[0])) if len(rows) else None,
        "last": iso(float(rows.time[-1])) if len(rows) else None,
        "from_store": collected.stored,
        "fetched": collected.fetched,
        "repaired": _counted(collected.repaired),
        "revised": _counted(collected.revised),
    }


def _counted(times: Sequence[int]) -> dict[str, Any]:
    return {"count": len(times), "times": [iso(time) for time in times[:_NAMED]]}


def _impossible(collected: Collected, interval_seconds: int) -> list[Finding]:
    """Return what the exchange told that cannot be true: set aside, as if there were none, where it is little."""
    found = quality.check_rows(_all_rows(collected, interval_seconds))
    rejected = len(np.unique(collected.rejected.time))
    if rejected > _MOST_REJECTED_SHARE * (len(collected.rows) + rejected):
        return found
    return [replace(finding, stops=False, message=f"{finding.message}: set aside") for finding in found]


def _all_rows(collected: Collected, interval_seconds: int) -> Candles:
    """Return sound and other rows together as the exchange gave them, by time."""
    rows, rejected = collected.rows, collected.rejected
    time = np.concatenate([rows.time, rejected.time])
    order = np.argsort(time, kind="stable")
    return as_candles(Rows(time[order], np.concatenate([rows.values, rejected.values])[order]), interval_seconds)


def as_candles(rows: Rows, interval_seconds: int) -> Candles:
    """Return stored rows as candles."""
    open_, high, low, close, volume = (np.ascontiguousarray(column) for column in rows.values.T)
    return Candles(rows.time, open_, high, low, close, volume, interval_seconds)


def _history(part: Gathered) -> list[Finding]:
    """Return what became of the store, as warnings."""
    found = []
    for what, collected in (("candles", part.candles), ("funding rates", part.funding)):
        if collected is None:
            continue
        found += [Finding("store", False, note) for note in collected.notes]
        if times := collected.revised:
            message = f"the exchange has revised {len(times)} of the stored {what}, the first of {iso(min(times))}"
            found.append(Finding("revised", False, message, times=tuple(times)))
    return found


def _funding_known(part: Gathered, candles: Candles) -> list[Finding]:
    """Return warnings where the exchange's history of funding begins later than its candles, or pauses for a day."""
    if part.funding is None:
        return []
    time = part.funding.rows.time
    begin, end = int(candles.time[0]), int(candles.time[-1])
    known = np.concatenate([[begin - DAY_SECONDS], time, [end + DAY_SECONDS]])
    silent = [gap for gap in quality.gaps(known, DAY_SECONDS) if gap[1] - gap[0] > DAY_SECONDS]
    if not silent:
        return []
    longest = max(silent, key=lambda gap: gap[1] - gap[0])
    days = sum(stop - start for start, stop in silent) / DAY_SECONDS
    message = f"no funding is known, and none counted, for {days:.0f} days, the most of them from {iso(longest[0])} on"
    return [Finding("funding", False, message, times=tuple(start for start, _ in silent))]


def _prefix(symbol: str, timeframe: str) -> str:
    return f"{symbol} {timeframe}: " if symbol else ""

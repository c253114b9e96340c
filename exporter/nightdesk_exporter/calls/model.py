"""The model in use, and how it does against what it promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from nightdesk_core.clock import MarketTime, WallTime
from nightdesk_core.numbers import Number

from nightdesk_exporter.arguments import (
    WrongCallError,
    flag,
    moment,
    numbers,
    one_of,
    optional,
    share,
    text,
    whole,
)
from nightdesk_exporter.calls.base import Calls, Moment, never_raises
from nightdesk_exporter.declared import limits_of
from nightdesk_exporter.errors import ExporterError
from nightdesk_exporter.metrics.catalogue import GAP_SOURCES, STANDINGS
from nightdesk_exporter.snapshot import Limits, ReportedModel

_PROMISED = ("model_backtest_win_ratio", "model_backtest_sharpe_ratio", "model_backtest_max_drawdown_ratio")
_DELIVERED = (
    "model_live_trades",
    "model_live_win_ratio",
    "model_live_sharpe_ratio",
    "model_expectation_evalue",
    "model_gap_ratio",
    "model_probation_share",
)


class ModelCalls(Calls):
    """Model, expectations, settings and audit log."""

    @never_raises
    def model(
        self,
        version: str,
        *,
        trained_at: Moment,
        standing: str = "champion",
        data_end: float | datetime | MarketTime | None = None,
        at: Moment | None = None,
    ) -> None:
        """The model that was loaded: when it was trained (wall time), and where its data end (market time).

        What was promised and delivered by another one is forgotten.
        """
        snapshot = self.snapshot
        before = snapshot.model
        found = ReportedModel(
            version=text(version, "version"),
            standing=one_of(standing, STANDINGS, "standing"),
            trained_at=WallTime(moment(trained_at, "trained_at")),
            data_end=None if data_end is None else MarketTime(moment(data_end, "data_end")),
            loaded_at=WallTime(self._stamp(at)),
        )
        if before is not None and not snapshot.model_failure and replace(found, loaded_at=before.loaded_at) == before:
            return
        snapshot.model, snapshot.model_known, snapshot.model_failure = found, True, ""
        snapshot.without -= {"model"}
        if before is not None and before.version != found.version:
            self._forget_performance()
        if before is None or (before.version, before.standing) != (found.version, found.standing):
            instead = "" if before is None else f", instead of {before.version}"
            told = f"model {found.version} is in use, {found.standing}{instead}"
            self._tell("INFO", told, at=found.loaded_at.seconds)
        self.changed()

    @never_raises
    def no_model(self, *, at: Moment | None = None) -> None:
        """No valid model is loaded: the bot does not trade. One that has none by its own words trades without."""
        stamp = self._stamp(at)
        if "model" in self.snapshot.without:
            return
        before, known = self.snapshot.model, self.snapshot.model_known
        self.snapshot.model, self.snapshot.model_known = None, True
        if before is not None:
            self._forget_performance()
        if before is not None or not known:
            self._tell("ERROR", "there is no model: the bot does not trade", at=stamp)
            self.changed()

    def _forget_performance(self) -> None:
        snapshot = self.snapshot
        for key in [key for key in snapshot.gauges if key[0] in (*_PROMISED, *_DELIVERED)]:
            del snapshot.gauges[key]
        snapshot.expectation_breached, snapshot.expectation_signals, snapshot.live_to_backtest = None, None, {}
        snapshot.trade_interval_seconds = None

    @never_raises
    def model_load_failed(self, reason: str, *, at: Moment | None = None) -> None:
        """A model could not be loaded; the one before it stays in use, where there is one."""
        reason, stamp = self._without_secrets(text(reason, "reason")), self._stamp(at)
        self.snapshot.model_failure = reason
        self.snapshot.model_known = True
        self.snapshot.without -= {"model"}
        self._count("model_load_failures")
        rest = "the bot does not trade" if self.snapshot.model is None else "the bot keeps the one before"
        self._tell("ERROR", f"a model could not be loaded ({reason}): {rest}", at=stamp)
        self.changed()

    @never_raises
    def promised(
        self,
        *,
        win_ratio: Number | None = None,
        sharpe_ratio: Number | None = None,
        max_drawdown_ratio: Number | None = None,
        trade_interval_seconds: Number | None = None,
    ) -> None:
        """What the backtest that promoted the model showed; `None` is not known.

        `trade_interval_seconds` is the mean wall time between two trades. Where trades are so rare that a quiet spell
        longer than `no_trade_seconds` has a probability above 1%, the limit becomes the spell whose probability is 1%:
        ln(100) mean intervals, as trades come by a Poisson process.
        """
        found = {
            "model_backtest_win_ratio": share(win_ratio, "win_ratio"),
            "model_backtest_sharpe_ratio": optional(sharpe_ratio, "sharpe_ratio"),
            "model_backtest_max_drawdown_ratio": share(max_drawdown_ratio, "max_drawdown_ratio"),
        }
        self.snapshot.trade_interval_seconds = optional(trade_interval_seconds, "trade_interval_seconds")
        self._touched = True
        for name, value in found.items():
            self._show(name, value=value)

    @never_raises
    def delivered(
        self,
        *,
        trades: int,
        win_ratio: Number | None = None,
        sharpe_ratio: Number | None = None,
        evalue: Number | None = None,
        signals: int | None = None,
        breached: bool = False,
        gaps: Mapping[str, Number] | None = None,
        probation_share: Number | None = None,
        sharpe_to_backtest: Number | None = None,
        drawdown_to_backtest: Number | None = None,
    ) -> None:
        """What the model in use has shown live; `None` is not known yet.

        `evalue` is the evidence that it is worse than promised, of so many `signals`: trades, and those that were only
        followed while the bot was held back. `breached` says that it is strong enough to act on. `gaps`
        says where what is missing went: fees, slippage, missed or signal. The last two, live over backtest on equally
        long stretches, are shown in the status file alone: healthy bots have bad ones all the time.
        """
        broken = flag(breached, "breached")
        found: dict[str, float | None] = {
            "model_live_trades": whole(trades, "trades"),
            "model_live_win_ratio": share(win_ratio, "win_ratio"),
            "model_live_sharpe_ratio": optional(sharpe_ratio, "sharpe_ratio"),
            "model_expectation_evalue": optional(evalue, "evalue"),
            "model_probation_share": share(probation_share, "probation_share"),
        }
        by_source = numbers({} if gaps is None else gaps, "gaps")
        for source in by_source:
            one_of(source, GAP_SOURCES, "gaps")
        compared = {
            "sharpe": optional(sharpe_to_backtest, "sharpe_to_backtest"),
            "drawdown": optional(drawdown_to_backtest, "drawdown_to_backtest"),
        }
        self.snapshot.live_to_backtest = compared
        self.snapshot.expectation_signals = None if signals is None else whole(signals, "signals")
        for name, value in found.items():
            self._show(name, value=value)
        for source in GAP_SOURCES:
            self._show("model_gap_ratio", source, value=by_source.get(source))
        before, self.snapshot.expectation_breached = self.snapshot.expectation_breached, broken
        if broken and not before:
            self._tell("WARNING", "the model does worse than its backtest promised")
        if broken != bool(before):
            self.changed()

    @never_raises
    def set_limits(self, limits: Limits, *, at: Moment | None = None) -> None:
        """Measure by other limits from now on: the bot has taken over its settings."""
        try:
            limits = limits_of(limits)
        except ExporterError as error:
            raise WrongCallError("limits", str(error)) from error
        stamp = self._stamp(at)
        self._limits = limits
        self.snapshot.gauges["config_loaded_timestamp_seconds",] = stamp
        self.changed()

    @never_raises
    def audit(self, *, entries: int, head: str, at: Moment | None = None) -> None:
        """How long the audit log is, and the hash of its last entry."""
        length, stamp = whole(entries, "entries"), self._stamp(at)
        self.snapshot.audit_head = text(head, "head")
        self.snapshot.gauges["audit_entries",] = length
        before, self.snapshot.audit_missing = self.snapshot.audit_missing, ""
        if before:
            self._tell("INFO", "the audit log is whole again, or begun anew", at=stamp)
            self.changed()

    @never_raises
    def audit_missing(self, reason: str, *, at: Moment | None = None) -> None:
        """The audit log lacks what it held, and how that shows. `audit` says that it is whole again."""
        reason, stamp = self._without_secrets(text(reason, "reason")) or "no reason given", self._stamp(at)
        before, self.snapshot.audit_missing = self.snapshot.audit_missing, reason
        if before != reason:
            self._tell("CRITICAL", f"the audit log is not what it was: {reason}", at=stamp)
            self.changed()

"""A candidate on its hold-out, and beside the champion on the days that neither has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from loguru import logger
from nightdesk_core.age import age_seconds
from nightdesk_core.clock import MarketTime
from nightdesk_core.models.bundle import BundleError, Manifest, version_of
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.pipeline import Backtest, Fitted, Window
from nightdesk_core.units import DAY_SECONDS

from nightdesk_retrain.judgement.deflated import DeflatedSharpe
from nightdesk_retrain.judgement.gate import Comparison
from nightdesk_retrain.judgement.metrics import Performance, measure
from nightdesk_retrain.judgement.outperformance import sharpe_difference
from nightdesk_retrain.judgement.trials import Trial, TrialLedger, cluster_sharpe_ratios
from nightdesk_retrain.parts import JobParts


@dataclass(frozen=True)
class Evaluation:
    """The candidate on its hold-out, and beside the champion on the days that neither has seen."""

    backtest: Backtest
    candidate: Performance
    deflated: DeflatedSharpe
    """What is left of the candidate's Sharpe ratio after all that was tried."""
    champion: Performance | None
    comparison: Comparison | None
    common: tuple[Backtest, Backtest] | None = None
    """Candidate and champion on those days."""


def evaluate(parts: JobParts, staged: Path, fitted: Fitted, window: Window, champion: Champion | None) -> Evaluation:
    """Return what the candidate in `staged`, as it was written, does on its hold-out, and beside the champion.

    From then on it is in the ledger of trials, whatever becomes of it. Both are frozen, and compared only on the bars
    after the latest label that either has seen.
    """
    end = MarketTime(window.info.end)
    candidate = parts.pipeline.load(staged)
    backtest = parts.pipeline.backtest(candidate, window, start=fitted.train_end, end=end.seconds)
    performance, deflated = measure(backtest), _deflated(parts, staged, backtest)
    parts.progress("evaluate", 0.5)
    if champion is None:
        return Evaluation(backtest, performance, deflated, None, None)
    try:
        folder = parts.registry.loadable(champion.version)
        rival = parts.pipeline.load(folder)
    except BundleError as error:
        logger.error("the champion cannot be compared with: {}", error)
        return Evaluation(backtest, performance, deflated, None, None)
    manifest = Manifest.read(folder)
    unseen_from = max(MarketTime(fitted.last_label_end), manifest.last_label_end)
    days = max(0.0, (end - unseen_from) / DAY_SECONDS)
    if days < 2:
        return Evaluation(
            backtest, performance, deflated, None, Comparison(champion.version, champion.standing, days, None)
        )
    ours = parts.pipeline.backtest(candidate, window, start=unseen_from.seconds, end=end.seconds)
    theirs = parts.pipeline.backtest(rival, window, start=unseen_from.seconds, end=end.seconds)
    past_age = age_seconds(manifest.trained_at, now=parts.clock()) > parts.oldest_seconds
    difference = sharpe_difference(
        np.array(ours.daily_returns),
        np.array(theirs.daily_returns),
        confidence=parts.retrain.confidence(past_age=past_age),
    )
    comparison = Comparison(champion.version, champion.standing, days, difference, past_age)
    return Evaluation(backtest, performance, deflated, measure(theirs), comparison, (ours, theirs))


def _deflated(parts: JobParts, staged: Path, backtest: Backtest) -> DeflatedSharpe:
    trials = TrialLedger(parts.state_dir).add(Trial(version_of(staged), backtest.days, backtest.daily_returns))
    return DeflatedSharpe.of(
        np.array(backtest.daily_returns), trials=len(trials), cluster_sharpe_ratios=cluster_sharpe_ratios(trials)
    )

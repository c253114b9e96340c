"""The job: collect, train, evaluate, gate, rotate, publish. Every run ends in the audit log, whatever becomes of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loguru import logger
from nightdesk_alerts.catalogue import DISK_UNWRITABLE
from nightdesk_core.audit import GENESIS, AuditHead
from nightdesk_core.clock import MarketTime, iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files.disk import is_full, is_unwritable, reason_of
from nightdesk_core.files.durable import LockTimeoutError, locked
from nightdesk_core.files.permissions import make_folder
from nightdesk_core.models.bundle import version_of
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.pipeline import DataError, Fitted, PipelineError, TrainingError, Window
from nightdesk_core.models.registry import RegistryError
from nightdesk_core.units import DAY_SECONDS

from nightdesk_retrain import state as states
from nightdesk_retrain.announce import announce
from nightdesk_retrain.judgement.evaluate import Evaluation, evaluate
from nightdesk_retrain.judgement.evidence import evidence
from nightdesk_retrain.judgement.gate import Ruling, judge
from nightdesk_retrain.outcome import RetrainOutcome, Trigger
from nightdesk_retrain.parts import JobParts
from nightdesk_retrain.publish import JobReport, publish
from nightdesk_retrain.reproduce import backtests, compare
from nightdesk_retrain.rotation import ACTOR, finish_rotation, rotate, settle
from nightdesk_retrain.state import JobState
from nightdesk_retrain.workers import workers


class RetrainBusyError(NightdeskError):
    """Another run of the job holds the lock."""


class PublishingError(NightdeskError):
    """The candidate was judged, but its bundle or the pointer could not be written; the champion is as it was."""

    exit_code = 5


_UNFORESEEN: Mapping[str, type[NightdeskError]] = {"collect": DataError, "rotate": PublishingError}
"""What a stage fails with, where its error is none that a strategy should raise; training otherwise."""


@dataclass(frozen=True)
class Candidate:
    """A candidate on its way to the gate: written to `staged`, judged, not yet listed."""

    staged: Path
    fitted: Fitted
    window: Window
    champion: Champion | None
    evaluation: Evaluation


def run(parts: JobParts, *, trigger: Trigger, dry_run: bool = False, bootstrap: bool = False) -> RetrainOutcome:
    """Retrain once and return what came of it; its verdict answers every request that was pending when it began.

    A run that the schedule began for a request has that request's cause as its trigger.
    Raises `RetrainBusyError` where another run is under way, and what the stages raise: `DataError`, `TrainingError`,
    `PublishingError`, also where the disk takes nothing. The champion is then as it was.
    """
    lock = parts.state_dir / "retrain.lock"
    try:
        make_folder(parts.state_dir)
        with locked(lock, timeout_seconds=0):
            return _Run(parts, trigger).run(dry_run=dry_run, bootstrap=bootstrap)
    except LockTimeoutError as error:
        if error.path != lock:
            raise
        raise RetrainBusyError("another retrain is running: wait for it, or look at its log") from error
    except OSError as error:
        if not is_unwritable(error):
            raise
        said = _of_disk(error)
        _tell_of_disk(parts, said)
        raise PublishingError(said) from error
    except NightdeskError as error:
        if isinstance(error.__cause__, OSError) and is_full(error.__cause__):
            _tell_of_disk(parts, str(error))
        raise


def _of_disk(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"the disk takes nothing ({where}{reason_of(error)}); nothing was promoted, and the bot trades on with its"
        " champion: make room, or give the folder back to the job's user, and run it again"
    )


def _tell_of_disk(parts: JobParts, said: str) -> None:
    """Tell people that the disk takes nothing, which the disk is not needed for."""
    (rule,) = DISK_UNWRITABLE.rules
    parts.alerts.send_alert(
        rule.name,
        severity=rule.severity,
        summary=rule.summary,
        description=parts.redact(f"The retrain job: {said}."),
        lasting=False,
    )


class _Run:
    """One run of the job, under the lock."""

    def __init__(self, parts: JobParts, trigger: Trigger) -> None:
        self._parts = parts
        self._trigger = trigger
        self._requests: tuple[str, ...] = ()
        self._stage_seconds: dict[str, float] = {}
        self._head = AuditHead(0, GENESIS)

    def run(self, *, dry_run: bool, bootstrap: bool) -> RetrainOutcome:
        parts = self._parts
        if bootstrap:
            self._refuse_second_champion()
        started = states.load(parts.state_dir)
        try:
            # Before hours of training: nothing is promoted that cannot be recorded.
            parts.audit.refuse_loss()
            if not dry_run:
                started = states.update(parts.state_dir, last_start=parts.clock())
            self._take_requests()
            if not dry_run:
                self._publish(JobReport(started, parts.interval_seconds, self._trigger))
            parts.registry.sweep()
            if not dry_run and not bootstrap:
                finish_rotation(parts)
            with workers(count=parts.retrain.workers, cluster=parts.retrain.cluster):
                outcome = self._decide(dry_run=dry_run, bootstrap=bootstrap)
        except Exception as error:
            # The top of the job: a strategy may raise anything, and every failure is counted before it goes on.
            self._record_failure(started, error, dry_run=dry_run)
            raise
        self._record_success(started, outcome)
        self._prune()
        return outcome

    def _prune(self) -> None:
        """Remove the bundles that nobody needs any more; that this fails is no failure of the retrain."""
        parts = self._parts
        try:
            old = parts.registry.superfluous(
                keep=parts.retrain.keep_models,
                younger_than_seconds=parts.scale.limit(parts.retrain.keep_models_days * DAY_SECONDS),
            )
            if old:
                parts.registry.remove(old)
                parts.audit.append("pruned", {"versions": old}, actor=ACTOR)
        except (NightdeskError, OSError) as error:
            logger.error("old models were not removed: {}", error)

    def _refuse_second_champion(self) -> None:
        champion = self._parts.registry.champion()
        if champion is not None:
            raise RegistryError(
                f"there is a champion already, {champion.version}: run `nightdesk retrain` without --bootstrap"
            )

    def _take_requests(self) -> None:
        """Note what this run answers. What is asked for from here on may be about what it does not see: that stays."""
        pending = self._parts.requests.pending()
        self._requests = tuple(key for request in pending for key in request.keys)
        if pending and self._trigger == "schedule":
            self._trigger = pending[0].cause

    def _decide(self, *, dry_run: bool, bootstrap: bool) -> RetrainOutcome:
        parts = self._parts
        champion = parts.registry.champion()
        with self._stage("collect"):
            window = parts.pipeline.collect(days=parts.retrain.history_days, progress=parts.progress)
            self._check_coverage(window)
        with self._stage("train"):
            holdout_start = window.info.end - parts.retrain.holdout_days * DAY_SECONDS
            fitted = parts.pipeline.fit(window, until=holdout_start, progress=parts.progress)
            staged = parts.registry.stage(fitted.files)
        with self._stage("evaluate"):
            # What is judged is what was written: the candidate is read back from the disk.
            evaluation = evaluate(parts, staged, fitted, window, champion)
            candidate = Candidate(staged, fitted, window, champion, evaluation)
        with self._stage("gate"):
            ruling = judge(
                evaluation.candidate,
                evaluation.comparison,
                rotation=parts.rotation,
                retrain=parts.retrain,
                deflated=evaluation.deflated.probability,
            )
        with self._stage("rotate"):
            return self._rotate(candidate, ruling, dry_run=dry_run, bootstrap=bootstrap)

    def _check_coverage(self, window: Window) -> None:
        info = window.info
        for warning in info.warnings:
            logger.warning("data: {}", warning)
        days = (info.end - info.start) / DAY_SECONDS
        needed = self._parts.retrain.min_history_days
        if days < needed:
            raise DataError(
                f"only {days:.0f} days of history, at least {needed:g} are needed (retrain.min_history_days)"
            )

    def _rotate(self, candidate: Candidate, ruling: Ruling, *, dry_run: bool, bootstrap: bool) -> RetrainOutcome:
        parts, fitted, info = self._parts, candidate.fitted, candidate.window.info
        outcome = RetrainOutcome(
            decision="kept",
            reason=ruling.reason,
            trigger=self._trigger,
            version=version_of(candidate.staged),
            standing=None,
            ruling=ruling,
            candidate=candidate.evaluation.candidate,
            deflated=candidate.evaluation.deflated,
            champion=candidate.evaluation.champion,
            comparison=candidate.evaluation.comparison,
            window=info,
            fitted=fitted,
            stage_seconds=self._stage_seconds,
            instead_of=None if candidate.champion is None else candidate.champion.version,
        )
        if dry_run:
            shutil.rmtree(candidate.staged)
            reason = f"dry run, nothing was rotated; the verdict is {ruling.verdict}: {ruling.reason}"
            outcome = replace(outcome, decision="dry_run", reason=reason)
            self._head = parts.audit.append("dry_run", outcome.to_json(), actor=ACTOR)
            return outcome
        outcome = settle(replace(outcome, requests=self._requests), parts, candidate.champion, bootstrap=bootstrap)
        holdout, common = candidate.evaluation.backtest, candidate.evaluation.common
        parts.registry.add_to_stage(candidate.staged, evidence(holdout, common, outcome, parts.settings_record))
        parts.registry.add_to_stage(candidate.staged, parts.annotate(holdout))
        sealed = parts.registry.seal(
            candidate.staged,
            strategy=parts.retrain.pipeline,
            train_start=MarketTime(fitted.train_start),
            train_end=MarketTime(fitted.train_end),
            last_label_end=MarketTime(fitted.last_label_end),
            data_end=MarketTime(info.end),
            data_fingerprint=info.fingerprint,
        )
        self._reproduce(sealed, candidate)
        parts.registry.publish(sealed)
        self._head = parts.audit.append("verdict", outcome.to_json(), actor=ACTOR)
        if outcome.standing is not None:
            self._head = rotate(parts, outcome.version, outcome.standing, instead_of=outcome.instead_of)
        return outcome

    def _reproduce(self, sealed: Path, candidate: Candidate) -> None:
        """Raise `ReproductionError` where the bundle, loaded in a fresh process, does not do what was judged."""
        parts, evaluation = self._parts, candidate.evaluation
        judged = [evaluation.backtest, *(() if evaluation.common is None else evaluation.common[:1])]
        again = parts.elsewhere(
            backtests,
            parts.retrain.pipeline,
            parts.document,
            sealed,
            candidate.window,
            [(backtest.start, backtest.end) for backtest in judged],
        )
        compare(judged, again)

    def _record_failure(self, started: JobState, error: Exception, *, dry_run: bool) -> None:
        parts, state = self._parts, started
        if not dry_run:
            now, failures = parts.clock(), started.consecutive_failures + 1
            try:
                state = states.update(parts.state_dir, last_completion=now, consecutive_failures=failures)
            except OSError as full:
                # What failed may have been the disk: the failure is counted and told of all the same.
                logger.error("the job's state was not written: {}", full)
                state = replace(started, last_completion=now, consecutive_failures=failures)
        self._publish(JobReport(state, parts.interval_seconds, self._trigger, failed=True))
        said = parts.redact(str(error))
        self._write_status({"decision": "error", "reason": said, **_times(state)})
        # Last, because the audit log may be what failed.
        details = {"trigger": self._trigger, "error": said, "kind": type(error).__name__}
        try:
            parts.audit.append("failed", details, actor=ACTOR)
        except OSError as full:
            logger.error("the failure is not in the audit log: {}", full)

    def _record_success(self, started: JobState, outcome: RetrainOutcome) -> None:
        parts = self._parts
        state = started
        # A dry run is no retrain: it puts none off and ends no series.
        if outcome.decision != "dry_run":
            now = parts.clock()
            state = states.update(
                parts.state_dir,
                last_completion=now,
                last_success=now,
                consecutive_failures=0,
                consecutive_rejections=0 if outcome.decision == "promoted" else started.consecutive_rejections + 1,
            )
        pointer = parts.registry.champion()
        champion, promoted_at = (None, None) if pointer is None else (pointer.version, pointer.promoted_at)
        self._publish(
            JobReport(
                state,
                parts.interval_seconds,
                self._trigger,
                outcome,
                champion=champion,
                promoted_at=promoted_at,
            )
        )
        announce(outcome, self._parts.alerts)
        # The anchor is where this run left the chain: an old line that was edited is for `audit verify` to find.
        self._write_status({**outcome.to_json(), **_times(state), "audit": asdict(self._head)})

    def _publish(self, report: JobReport) -> None:
        parts = self._parts
        publish(
            report,
            gateway=parts.gateway,
            login=parts.gateway_login,
            bot=parts.bot,
            textfile_dir=parts.textfile_dir,
        )

    def _write_status(self, section: Mapping[str, Any]) -> None:
        lifetime = 2 * self._parts.interval_seconds
        try:
            self._parts.status_file.replace({"retrain": section}, now=self._parts.clock(), lifetime_seconds=lifetime)
        except (OSError, LockTimeoutError) as error:
            logger.error("the status file was not written: {}", error)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        self._parts.progress(name, 0.0)
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            # A strategy may raise anything: the exit code says where it did, and the log how it came to that.
            foreseen = isinstance(error, NightdeskError)
            if foreseen and name != "rotate":
                raise
            if not foreseen:
                logger.exception("the stage {} fails", name)
            said = str(error) if foreseen else f"{type(error).__name__}: {error}"
            if isinstance(error, OSError) and is_full(error):
                said = _of_disk(error)
            raise _UNFORESEEN.get(name, TrainingError)(said) from error
        self._stage_seconds[name] = time.monotonic() - begun
        self._parts.progress(name, 1.0)


def _times(state: JobState) -> dict[str, str | None]:
    moments = {
        "last_start": state.last_start,
        "last_completion": state.last_completion,
        "last_success": state.last_success,
    }
    return {name: None if at is None else iso(at) for name, at in moments.items()}

"""A verdict in full, from its record alone."""

from __future__ import annotations

import json
from dataclasses import replace

from nightdesk_retrain import job
from nightdesk_retrain.judgement.explain import explain_verdict
from nightdesk_retrain.outcome import RetrainOutcome
from nightdesk_retrain.parts import JobParts

from tests.retrain.conftest import FakePipeline


def lines_of(outcome: RetrainOutcome) -> list[str]:
    return list(explain_verdict(json.loads(json.dumps(outcome.to_json()))))


def test_a_first_champion_has_nothing_beside_it(parts: JobParts) -> None:
    said = lines_of(job.run(parts, trigger="manual", bootstrap=True))
    assert said[0].startswith("data        730 days up to 1972-09-27T00:00:00Z, 1000 rows, SHA-256 ffffffffffff")
    assert said[1].startswith("training    500 rows, 1970-09-28T00:00:00Z to 1972-03-31T00:00:00Z; the last label")
    assert said[2] == "            events 500"
    assert said[3].startswith(
        "hold-out    180 days, Sharpe 3.99, profit factor 4, drawdown 7.9%, 60 trades, 66.7% won, "
    )
    assert said[4] == "champion    none, or none that can be loaded: there is nothing to compare with"
    assert said[-2].startswith("so          promoted: first champion, provisional whatever the gate says")
    assert said[-1].startswith("then        it is the champion from the next candle on")


def test_a_champion_is_told_with_every_criterion_what_it_asks_and_by_how_much_it_is_missed(
    parts: JobParts,
    pipeline: FakePipeline,
    first: str,
) -> None:
    pipeline.daily_edge = 0.0005
    said = lines_of(job.run(parts, trigger="manual"))
    at = said.index(next(line for line in said if line.startswith("champion")))
    assert said[at] == f"champion    {first}, provisional; 182 days that neither model has seen"
    assert said[at + 2].startswith("            candidate less champion: -")
    missed = said.index(next(line for line in said if line.startswith("missed      sharpe_difference ")))
    assert said[missed + 1] == "            it asks that it did better than the champion on those days"
    assert said[missed + 2].startswith("            it misses by ")
    assert said[-1].startswith("then        the champion stays; the candidate's bundle is kept")


def test_shares_are_told_from_the_largest_on(parts: JobParts, pipeline: FakePipeline) -> None:
    outcome = job.run(parts, trigger="manual", bootstrap=True)
    fitted = replace(outcome.fitted, summary={"importance": {"adx": 0.2, "hour": 0.7, "ema": 0.1}})
    said = lines_of(replace(outcome, fitted=fitted))
    assert "            importance hour 0.7, adx 0.2, ema 0.1" in said

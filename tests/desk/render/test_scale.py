from __future__ import annotations

import re
from pathlib import Path

import pytest
from nightdesk.render.scale import scaled_duration, scaled_rules
from nightdesk_core.clock import TimeScale

RULES = sorted((Path(__file__).resolve().parents[3] / "prometheus" / "rules").glob("*.yml"))

STATIC = """\
# A comment keeps its 10m.
- alert: Late
  expr: |2
      time() - last_over_time(seen_timestamp_seconds{job="x"}[10m]) + shown_1m
    >
      2 * interval + 7200 # seconds
  for: 1h30m  # not 1h
  keep_firing_for: 4s
  annotations:
    description: Nothing for 2h, 3 times.
"""


@pytest.mark.parametrize(
    ("text", "speed", "expected"),
    [
        ("2m", 1, "2m"),
        ("2m", 0.5, "2m"),
        ("2m", 10, "12s"),
        ("1h30m", 100, "54s"),
        ("10m", 7, "85714ms"),
        ("10m", 18_000, "5s"),
        ("1s", 18_000, "1s"),
        ("0s", 18_000, "0s"),
        ("90d", 18_000, "432s"),
    ],
)
def test_a_duration_shrinks_to_five_seconds_at_most_and_never_grows(text: str, speed: float, expected: str) -> None:
    assert scaled_duration(text, TimeScale(speed)) == expected


def test_every_form_of_duration_in_a_rule_is_scaled_and_nothing_else() -> None:
    assert (
        scaled_rules(STATIC, TimeScale(60))
        == """\
# A comment keeps its 10m.
- alert: Late
  expr: |2
      time() - last_over_time(seen_timestamp_seconds{job="x"}[10s]) + shown_1m
    >
      2 * interval + 120 # seconds
  for: 90s  # not 1h
  keep_firing_for: 4s
  annotations:
    description: Nothing for 120s, 3 times.
"""
    )


def test_at_the_speed_of_the_wall_nothing_changes() -> None:
    assert scaled_rules(STATIC, TimeScale()) is STATIC


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_no_duration_of_the_static_rules_outlasts_the_replay(file: Path) -> None:
    """At 18,000 times the wall's speed a day is five seconds, and so is all that is shorter; two are ten."""
    scaled = scaled_rules(file.read_text(), TimeScale(18_000))
    code = "\n".join(line.partition("#")[0] for line in scaled.splitlines())
    assert set(re.findall(r"\b\d+(?:ms|[smhdwy])\b", code)) <= {"5s"}
    assert {float(number) for number in re.findall(r"(\S+) # seconds", scaled)} <= {5.0, 9.6}

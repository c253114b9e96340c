"""Of every condition of the health check, at each severity: how it comes about, what is found, and when it is known.

A new condition has its case in the module of its rules' name: `test_health`, `test_health_and_alerts` and
`test_known_conditions` take it up.
"""

from __future__ import annotations

from tests.exporter.health_cases import exchange, liveness, model, plumbing, trading

CASES = (*liveness.CASES, *exchange.CASES, *trading.CASES, *model.CASES, *plumbing.CASES)

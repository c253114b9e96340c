"""How long a day and a year are, for all rooms."""

from __future__ import annotations

HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400
"""A UTC day has no leap second in Unix time."""

DAYS_A_YEAR = 365
"""What daily figures are annualised with: the markets in question trade on every day of the year."""

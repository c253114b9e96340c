"""Settings of one file of candles: where it is, and what it does not say itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nightdesk_core.settings import SettingsModel
from pydantic import BeforeValidator, Field, field_validator

Stop = Literal["scale", "repeated", "backwards"]
"""What is found in the numbers of a file and no market does by itself: `quality` says what each is."""


class CandleFileSettings(SettingsModel):
    """A file of hourly candles of your own, for the symbol `<name>`: docs/candle-files.md says what it may look like.

    A path alone in place of these keys is the file, and one in place of `sandbox.candles` the first symbol's.
    """

    file: Path = Field(description="CSV, JSON, Parquet or Feather, also in gzip or zip.")
    timezone: str = Field("UTC", description="The zone of times that name none, such as `Europe/Berlin`.")
    dates: Literal["day first", "month first"] | None = Field(
        None, description="How 03/04/2019 reads; null for what the file's other dates show."
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="The decimal mark, the other being that of thousands; null for what the numbers show."
    )
    accept: tuple[Stop, ...] = Field(
        (), description="What stops and is true of this market, such as a split of shares: then it only warns."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is no time zone of the tz database, such as UTC or Europe/Berlin") from error
        return name


def _from_path(value: Any) -> Any:
    return {"file": value} if isinstance(value, str | Path) else value


CandleFile = Annotated[CandleFileSettings, BeforeValidator(_from_path)]
"""The settings of a file, or only its path."""

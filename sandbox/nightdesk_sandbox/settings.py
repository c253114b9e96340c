"""Settings of the sandbox: the replay exchange and the inbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from nightdesk_core.settings import SettingsModel
from pydantic import Field, StringConstraints, model_validator

from nightdesk_sandbox.inbox.settings import InboxSettings
from nightdesk_sandbox.recordings.files.settings import CandleFile

Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,20}USDT$")]
SAMPLED_SYMBOLS = ("BTCUSDT", "EURUSDT")
"""A sample of real candles can be fetched for them."""


class FalseBreakoutSettings(SettingsModel):
    """A spell in which the market is not as it was: breakouts fail, made of its own moves the other way round."""

    share: float = Field(0.0, ge=0, le=1, description="How many of the breakouts fail; 0 leaves the market as it was.")
    from_day: float = Field(0.0, ge=0, description="When the spell begins, in market days after the replay's start.")
    days: float | None = Field(None, gt=0, description="How many market days it lasts; null for until the end.")


class SandboxSettings(SettingsModel):
    """The stand-ins for the outside world. Where disabled, the bot follows the exchange that its settings name."""

    enabled: bool = Field(True, description="Off for a real exchange and for your own channels of alerts.")
    candles_per_second: float = Field(
        5.0, gt=0, le=1000, description="Speed of the replay, in hourly candles a second."
    )
    replay_days: float = Field(
        180, gt=0, description="How many days at the candles' end are replayed; the rest is history."
    )
    symbols: tuple[Symbol, ...] = Field(
        ("BTCUSDT",),
        min_length=1,
        description="The markets; the first one sets the time for the others. BTCUSDT and EURUSDT have samples.",
    )
    candles: dict[Symbol, CandleFile] = Field(
        default_factory=dict, description="Your own hourly candles, by symbol; a path alone is the first market's."
    )
    false_breakouts: FalseBreakoutSettings = FalseBreakoutSettings()
    funding_rate: float = Field(
        0.0, ge=-0.005, le=0.005, description="What longs pay shorts at 00:00, 08:00 and 16:00 UTC, as a share."
    )
    requests_per_second: int | None = Field(
        None, ge=1, description="How many REST calls each client may make in a second; null for any number."
    )
    state_dir: Path = Field(Path("sandbox"), description="The replay's position and the inbox's messages.")
    inbox: InboxSettings = InboxSettings()
    cache_dir: Path = Field(Path("cache"), description="The sample as it was fetched and repaired.")

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_the_first_market_s(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "candles" not in values:
            return values
        candles, symbols = values["candles"], values.get("symbols", SAMPLED_SYMBOLS)
        if candles is None:
            candles = {}
        elif isinstance(candles, str | Path) or (isinstance(candles, dict) and "file" in candles):
            candles = dict.fromkeys(symbols[:1], candles) if isinstance(symbols, list | tuple) else {}
        return {**values, "candles": candles}

    @model_validator(mode="after")
    def _symbols_once_and_with_their_candles(self) -> Self:
        if len(set(self.symbols)) < len(self.symbols):
            raise ValueError("symbols names a market twice")
        if others := [symbol for symbol in self.candles if symbol not in self.symbols]:
            raise ValueError(f"candles has a file for {', '.join(others)}, which symbols does not name")
        if bare := [symbol for symbol in self.symbols if symbol not in (*self.candles, *SAMPLED_SYMBOLS)]:
            raise ValueError(
                f"symbols names {', '.join(bare)}, of which there is no sample: name a file of candles for it, such as "
                f"`candles: {{{bare[0]}: {bare[0].lower()}.csv}}`"
            )
        return self

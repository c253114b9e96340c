"""A strategy of your own for `nightdesk retrain`: mean reversion, with pandas and scikit-learn, from a file of candles.

retrain: {pipeline: "mean_reversion:MeanReversion"}
strategy: {candles: candles.csv, symbol: BTC/USDT}   # hourly; docs/candle-files.md says in which forms
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nightdesk_core.models.bundle import BundleError
from nightdesk_core.models.pipeline import Backtest, DataError, Fitted, Progress, TrainingError, WindowInfo
from nightdesk_core.trades import ClosedTrade
from nightdesk_sandbox import CandleFileSettings, CandlesError, read_candles
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

HOUR, DAY, LOOK_BACK, HOLD, FAR, STOP, COST, EQUITY = 3600, 86_400, 48, 24, 1.5, 0.03, 0.001, 10_000.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Window:  # what `collect` returns: the job looks at `info` alone
    table: pd.DataFrame
    info: WindowInfo


@dataclass(frozen=True)
class Model:  # frozen, and stored as JSON: a bundle holds no pickle
    weights: list[float]
    bias: float
    threshold: float

    def says_yes(self, inputs: Floats) -> NDArray[np.bool_]:
        odds = np.nan_to_num(inputs) @ np.array(self.weights) + self.bias
        return np.asarray(1 / (1 + np.exp(-odds)) > self.threshold)


def inputs_of(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """How far the close lies from its mean, in standard deviations; and what the model sees. Both look only back."""
    mean, spread = table.close.rolling(LOOK_BACK).mean(), table.close.rolling(LOOK_BACK).std()
    z, busy = (table.close - mean) / spread, table.volume / table.volume.rolling(200).mean()
    return z.to_numpy(), np.column_stack([z.abs(), spread / mean * 100, busy])


class MeanReversion:
    def __init__(self, candles: str, symbol: str) -> None:
        self.path, self.symbol = Path(candles), symbol

    @classmethod
    def from_settings(cls, document: dict[str, Any]) -> "MeanReversion":
        return cls(**document["strategy"])

    def collect(self, *, days: float, progress: Progress) -> Window:
        try:
            candles = read_candles(CandleFileSettings(file=self.path)).candles  # in any form, checked, oldest first
        except CandlesError as error:
            raise DataError(str(error)) from error
        table = pd.DataFrame({"time": candles.time, "close": candles.close, "volume": candles.volume})
        table = table[table.time > table.time.iloc[-1] - days * DAY].reset_index(drop=True)
        digest = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
        info = WindowInfo(float(table.time.iloc[0]), float(table.time.iloc[-1] + HOUR), len(table), digest)
        return Window(table, info)

    def fit(self, window: Window, *, until: float, progress: Progress) -> Fitted:
        table = window.table[window.table.time + HOUR <= until]
        z, inputs = inputs_of(table)
        far = np.flatnonzero((np.abs(z) > FAR) & np.isfinite(inputs).all(axis=1))
        far = far[far < len(table) - HOLD]  # a label must not look beyond what is known
        if len(far) < 100:
            raise TrainingError(f"only {len(far)} candles lie far from their mean: collect more history")
        later, now = table.close.to_numpy()[far + HOLD], table.close.to_numpy()[far]
        won = -np.sign(z[far]) * (later / now - 1) > 2 * COST
        fitted = LogisticRegression(C=0.1).fit(inputs[far], won)
        model = Model(fitted.coef_[0].tolist(), float(fitted.intercept_[0]), float(won.mean()))
        last = float(table.time.iloc[far[-1] + HOLD] + HOUR)
        files = {"model.json": json.dumps(vars(model)).encode()}
        return Fitted(files, window.info.start, until, last, len(far), {"share_won": float(won.mean())})

    def load(self, folder: Path) -> Model:
        try:
            return Model(**json.loads((folder / "model.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(folder, f"model.json cannot be read ({error})") from error

    def backtest(self, model: Model, window: Window, *, start: float, end: float) -> Backtest:
        table = window.table[window.table.time < end]
        z, inputs = inputs_of(table)
        times, closes, yes = table.time.to_numpy(), table.close.to_numpy(), model.says_yes(inputs)
        equity = begun = EQUITY
        days, returns, trades = list[int](), list[float](), list[ClosedTrade]()
        side = since = 0
        for i in range(int(np.searchsorted(times, start)), len(times)):
            mark = equity
            if side:
                moved = side * (closes[i] / closes[since] - 1)
                mark = equity * (1 + moved - COST)
                if moved < -STOP or side * z[i] > 0 or i - since >= HOLD:
                    mark -= equity * COST
                    trades.append(self.trade(side, times[[since, i]], closes[[since, i]], equity, mark - equity))
                    equity, side = mark, 0
            elif abs(z[i]) > FAR and yes[i]:
                side, since = -int(np.sign(z[i])), i
            if (times[i] + HOUR) % DAY == 0:
                days.append(int(times[i] + HOUR))
                returns.append(float(mark / begun - 1))
                begun = mark
        return Backtest(start, end, tuple(days), tuple(returns), tuple(trades))

    def trade(self, side: int, times: Any, prices: Any, equity: float, profit: float) -> ClosedTrade:
        (opened, closed), (entry, left) = (times + HOUR).tolist(), prices.tolist()
        name, fees, at_stake = "long" if side > 0 else "short", 2 * COST * equity, STOP * equity
        money = (equity / entry, opened, entry, closed, left, "stop" if profit < -at_stake else "time", fees, 0.0)
        return ClosedTrade(self.symbol, name, *money, float(profit), equity, "", risk=at_stake)  # type: ignore[arg-type]

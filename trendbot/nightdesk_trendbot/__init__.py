"""The reference bot: it follows a market on paper, so that the desk has something to watch. It has no proven edge.

It shows no names of its own; other rooms take them from its parts.

Public submodules:
    signals: what the market says at a candle's close
    market: the exchange
    engine: what becomes of an account at a candle's open and close
    candle_store: the history to train on
    model: the meta-model, and the champion in use
    live: the live bot
    pipeline: the strategy as the retrain job sees it, which the settings name
    settings: what `trendbot` may say; it loads pydantic
"""

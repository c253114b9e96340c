"""What the market says at a candle's close: candles, indicators, regimes, and the signals that they give."""

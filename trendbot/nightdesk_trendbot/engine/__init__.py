"""What becomes of an account at a candle's open and close. One engine for live trading and for backtests."""

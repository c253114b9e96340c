"""Binance's interface: USDT-M futures under `/fapi/v1`, spot under `/api/v3`, and their streams of candles."""

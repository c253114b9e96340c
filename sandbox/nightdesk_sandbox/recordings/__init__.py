"""The candles that the sandbox replays: read, repaired, aggregated, and bent where a scenario wants it."""

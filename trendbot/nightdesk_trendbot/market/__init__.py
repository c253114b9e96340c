"""The exchange: its REST and its stream, the feed of confirmed candles, funding, prices and the market's clock."""

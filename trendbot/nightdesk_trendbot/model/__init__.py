"""The meta-model: labels, training, the strategy that asks it, its backtest, and the champion in use."""

"""Where the bot's journal keeps what is neither a trade nor a point of the equity."""

STATE_KEY = "engine"
"""The engine's state."""
KILLS_KEY = "kill switch"
"""How often the kill switch had been activated when it was last looked at."""
MARKET_KEY = "market"
"""The market that the state is of."""

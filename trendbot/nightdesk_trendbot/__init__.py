"""The reference bot: it follows a market on paper, so that the desk has something to watch. It has no proven edge."""

"""The health check: what it finds, since when, and what people hear of it."""

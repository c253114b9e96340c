"""The trade journal: what a bot resumes from after being killed at any moment."""

"""The running configuration, rendered from the static files and the settings."""

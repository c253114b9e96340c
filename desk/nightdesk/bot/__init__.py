"""The bot's process: what it is made of, its journal, and what it takes over of changed settings."""

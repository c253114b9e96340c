"""The bots of this machine and user: where each says that it is there, so that the command line finds it."""

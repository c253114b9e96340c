"""`python -m nightdesk` is the command line."""

from nightdesk.cli import main

main()

"""`python -m nightdesk` is the command line."""

from nightdesk.cli.main import main

main()

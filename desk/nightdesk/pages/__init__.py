"""The page server: the one way by which people see the servers' pages, with a login of its own."""

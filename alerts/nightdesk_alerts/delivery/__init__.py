"""How an alert gets where it goes, and what is still owed: ledger, spool, lanes, and the web."""

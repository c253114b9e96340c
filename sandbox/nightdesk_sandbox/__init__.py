"""Stand-ins for the outside world, so that the whole desk runs on one machine with nothing else around it.

The replay exchange speaks as much Bybit v5 as ccxt needs and plays real hourly candles back at a chosen speed. The
inbox takes what Alertmanager sends to Discord and by e-mail, and shows it on a page. Start at `server`.
"""

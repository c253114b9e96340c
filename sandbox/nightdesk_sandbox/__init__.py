"""Stand-ins for the outside world, so that the whole desk runs on one machine with nothing else around it.

The replay exchange speaks as much Bybit v5 as ccxt and pybit need and plays real hourly candles of one or two markets
back at a chosen speed, with any of the faults in `faults` while it runs. The inbox takes what Alertmanager sends to
Discord, Slack, Telegram, webhooks and by e-mail, fails on demand too, and shows it on a page. Start at `server`.
"""

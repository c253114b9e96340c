"""The calls by which a bot tells the exporter what happens, by topic. `BotExporter` has them all.

No call raises into the loop, unless the exporter is strict: what is wrong is counted in `instrumentation_errors_total`,
shown by the health check, and logged once a cause with what to do. Arguments are checked before anything changes, so
that a wrong one never reaches a scrape. Calls may come from any thread: each changes one thing in one step.
"""

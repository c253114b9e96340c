"""The cron job: collect, train, evaluate, gate, rotate, publish. It knows a strategy only by the pipeline protocol."""

"""Model bundles and their registry, the requests for a retrain, and what the job needs from a strategy."""

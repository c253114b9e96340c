"""The catalogue of metrics, and the samples that are made by it."""

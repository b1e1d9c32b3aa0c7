"""Which model files there are."""

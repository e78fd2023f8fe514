"""The one way from this worker to addresses that somebody else chose: inputs, webhooks, model files."""

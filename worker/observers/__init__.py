"""Observers of events: log, metrics, replay for event streams, and webhooks."""

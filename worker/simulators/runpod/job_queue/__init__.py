"""The queue of an endpoint: jobs and workers, the calls of both sides, and webhooks."""

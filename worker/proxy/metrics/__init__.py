"""The metrics of the proxy for Prometheus: their specifications, and the observer that updates them."""

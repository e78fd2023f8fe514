"""What a team needs to watch a fleet of workers: the source of a Grafana dashboard, and alert rules for Prometheus.

`grafana/comfy-worker.json` is made by `python -m monitoring`. `prometheus/alerts.yml` is written by hand.
docs/monitoring.md describes how to use both.
"""

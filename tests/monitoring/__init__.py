"""Tests of the Grafana dashboard and the alert rules."""

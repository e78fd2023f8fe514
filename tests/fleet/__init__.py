"""Deploying, against Vast's REST API played on loopback."""

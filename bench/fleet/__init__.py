"""Measures the simulation of fleets, and what it says about the worker's own settings: docs/fleet.md."""

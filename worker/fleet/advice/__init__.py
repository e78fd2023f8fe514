"""Advice: the cheapest parameters of a fleet that keep a target, found by simulation."""

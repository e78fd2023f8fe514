"""Simulation of a fleet: how long jobs wait, and what it costs, before anything is rented."""

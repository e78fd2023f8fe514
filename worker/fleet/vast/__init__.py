"""Vast's API: the calls, and the rows that they return."""

"""Vast's API: the calls, and what the account holds."""

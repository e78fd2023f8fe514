"""Prices of GPUs as data with their sources, and the billing rule of each platform as a plain function."""

"""Tests of the benchmark of predicted load."""

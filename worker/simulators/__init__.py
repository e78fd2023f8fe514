"""Simulators of the services that the worker uses, for tests, benchmarks and demos."""

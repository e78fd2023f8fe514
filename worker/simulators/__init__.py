"""Stand-ins for the services that the worker talks to, for tests, benchmarks and demos."""

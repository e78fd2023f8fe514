"""Stress runs of a worker: thousands of mixed jobs, malformed requests, and every fault while jobs are in flight."""

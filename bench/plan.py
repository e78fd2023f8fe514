"""How much is measured: thoroughly, or just enough to see that all is well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """`jobs` of one round by the size of their picture; sides of noise in pixels (3 bytes each, incompressible)."""

    rounds: int = 9
    close_rounds: int = 31
    """Of what is close to its target: large pictures, bursts."""
    flat_jobs: int = 20
    noise_jobs: int = 8
    large_jobs: int = 1
    burst: int = 25
    queued: int = 12
    peer_jobs: int = 8
    engines: int = 4
    engine_jobs: int = 12
    noise_side: int = 448
    large_side: int = 1664
    big_file_mib: int = 200
    bucket_file_mib: int = 1024
    bucket_rounds: int = 3


QUICK = BenchPlan(
    rounds=3,
    close_rounds=3,
    flat_jobs=10,
    noise_jobs=4,
    large_jobs=1,
    engine_jobs=6,
    bucket_file_mib=256,
    bucket_rounds=1,
)

"""The amount of measuring: the full plan, or a quick one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Numbers of rounds and jobs.

    `..._jobs` are the jobs in a round, and `..._side` the side of a noise image in pixels.

    An image of noise has 3 bytes a pixel and cannot be compressed.
    """

    rounds: int = 9
    close_rounds: int = 31
    """Rounds for what is close to its target: large images and bursts."""
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

"""`python3 -m ci.times` prints the times of this run's jobs and steps in seconds, as a Markdown table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from ci.github import Json, Repository

SHORTEST_S = 1.0
"""Shorter steps are left out."""


def seconds(part: Json) -> float | None:
    """Return the duration of a job or step, or None if it has not run or not ended."""
    if part["conclusion"] in (None, "skipped") or not (part["started_at"] and part["completed_at"]):
        return None
    return (datetime.fromisoformat(part["completed_at"]) - datetime.fromisoformat(part["started_at"])).total_seconds()


def table(run: Json, jobs: list[Json]) -> str:
    """Return the table, in the order of the jobs' starts. `starts after` counts from the push and includes waiting."""
    started = datetime.fromisoformat(run["created_at"])
    lines = ["| job, step | starts after | takes |", "|---|---:|---:|"]
    for job in sorted((job for job in jobs if seconds(job) is not None), key=lambda job: str(job["started_at"])):
        lines += [_row(f"**{job['name']}**", job, started), *_steps(job, started)]
    return "\n".join(lines)


def _steps(job: Json, started: datetime) -> Iterator[str]:
    for step in job["steps"]:
        duration = seconds(step)
        if duration is not None and duration >= SHORTEST_S:
            yield _row(f"&emsp;{step['name']}", step, started)


def _row(name: str, part: Json, started: datetime) -> str:
    after = (datetime.fromisoformat(part["started_at"]) - started).total_seconds()
    return f"| {name.replace('|', '/')} | {after:.0f} s | {seconds(part):.0f} s |"


def main() -> None:
    repository = Repository.from_env()
    run = f"actions/runs/{os.environ['GITHUB_RUN_ID']}/attempts/{os.environ['GITHUB_RUN_ATTEMPT']}"
    print(table(repository.get(run), repository.get(f"{run}/jobs?per_page=100")["jobs"]))


if __name__ == "__main__":
    main()

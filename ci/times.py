"""`python3 -m ci.times` prints where the time of this run went: jobs and steps, in seconds, as a Markdown table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from ci.github import Json, Repository

SHORTEST_S = 1.0
"""Steps below are left out."""


def seconds(part: Json) -> float | None:
    """None for what hasn't run, or hasn't ended."""
    if part["conclusion"] in (None, "skipped") or not (part["started_at"] and part["completed_at"]):
        return None
    return (datetime.fromisoformat(part["completed_at"]) - datetime.fromisoformat(part["started_at"])).total_seconds()


def table(run: Json, jobs: list[Json]) -> str:
    """Rows in order of the jobs' starts; `after` counts from the push, so that waiting is seen."""
    began = datetime.fromisoformat(run["created_at"])
    lines = ["| job, step | starts after | takes |", "|---|---:|---:|"]
    for job in sorted((job for job in jobs if seconds(job) is not None), key=lambda job: str(job["started_at"])):
        lines += [_row(f"**{job['name']}**", job, began), *_steps(job, began)]
    return "\n".join(lines)


def _steps(job: Json, began: datetime) -> Iterator[str]:
    for step in job["steps"]:
        took = seconds(step)
        if took is not None and took >= SHORTEST_S:
            yield _row(f"&emsp;{step['name']}", step, began)


def _row(name: str, part: Json, began: datetime) -> str:
    after = (datetime.fromisoformat(part["started_at"]) - began).total_seconds()
    return f"| {name.replace('|', '/')} | {after:.0f} s | {seconds(part):.0f} s |"


def main() -> None:
    repository = Repository.from_env()
    run = f"actions/runs/{os.environ['GITHUB_RUN_ID']}/attempts/{os.environ['GITHUB_RUN_ATTEMPT']}"
    print(table(repository.get(run), repository.get(f"{run}/jobs?per_page=100")["jobs"]))


if __name__ == "__main__":
    main()

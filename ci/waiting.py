"""`python3 -m ci.waiting deploy.yml` cancels the runs on main that wait for approval, or for another such run.

A job that waits for approval holds its concurrency group, so that a rollback would wait for it too.
"""

from __future__ import annotations

import sys
from urllib.error import HTTPError

from ci.github import Repository

STATES = ("pending", "waiting")
"""Runs that wait for others come first, because otherwise the next one would take the place that becomes free."""

ENDED_MEANWHILE = 409


def cancel(repository: Repository, workflow: str) -> list[str]:
    """Cancel the waiting runs and return their URLs. Raises HTTPError."""
    waiting = [
        run
        for state in STATES
        for run in repository.get(f"actions/workflows/{workflow}/runs?branch=main&event=push&status={state}")[
            "workflow_runs"
        ]
    ]
    return [str(run["html_url"]) for run in waiting if _cancelled(repository, run["id"])]


def _cancelled(repository: Repository, run: int) -> bool:
    """Cancel a run and return True, or False if it has ended in the meantime."""
    try:
        repository.write("POST", f"actions/runs/{run}/cancel", {})
    except HTTPError as error:
        if error.code == ENDED_MEANWHILE:
            return False
        raise
    return True


def main() -> None:
    for address in cancel(Repository.from_env(), sys.argv[1]):
        print(f"- cancelled: {address}")


if __name__ == "__main__":
    main()

"""`python3 -m ci.newest deploy.yml` prints `yes` if this run is the newest of that workflow on main, and else `no`.

Without this check, a commit whose image took longer would replace the image of its successor.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ci.github import Repository


def is_newest(number: int, runs: dict[str, Any]) -> bool:
    """Return whether no run in GitHub's list has a higher number. A run that is not listed yet counts as newest."""
    return all(number >= run["run_number"] for run in runs["workflow_runs"])


def main() -> None:
    runs = Repository.from_env().get(f"actions/workflows/{sys.argv[1]}/runs?branch=main&event=push&per_page=5")
    print("yes" if is_newest(int(os.environ["GITHUB_RUN_NUMBER"]), runs) else "no")


if __name__ == "__main__":
    main()

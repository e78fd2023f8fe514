"""`python3 -m ci.newest deploy.yml` prints `yes` or `no`: is this run the newest of that workflow on main?

A commit whose image took longer than its successor's would else be deployed over it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ci.github import Repository


def is_newest(number: int, runs: dict[str, Any]) -> bool:
    """`runs` is GitHub's answer, newest first; a run that isn't listed yet is taken for the newest."""
    return all(number >= run["run_number"] for run in runs["workflow_runs"])


def main() -> None:
    runs = Repository.from_env().get(f"actions/workflows/{sys.argv[1]}/runs?branch=main&event=push&per_page=5")
    print("yes" if is_newest(int(os.environ["GITHUB_RUN_NUMBER"]), runs) else "no")


if __name__ == "__main__":
    main()

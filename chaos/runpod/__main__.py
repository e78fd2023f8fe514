"""`python -m chaos.runpod`: run jobs through the stand-in for RunPod, and fail when one is lost or runs twice."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop

from chaos.finding import RunFinding
from chaos.runpod.plan import FULL, SHORT, RunpodPlan
from chaos.runpod.soak import running_soak
from worker.connections import raise_file_limit

STATE = Path(".state")


def main() -> None:
    """Run the plan, print the findings, and exit with 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="500 jobs")
    parser.add_argument("--jobs", type=int, help="number of jobs")
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    if options.jobs:
        plan = dataclasses.replace(plan, jobs=options.jobs)
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="runpod-", dir=STATE)).resolve()
    raise_file_limit()
    findings = uvloop.run(run(plan, folder))
    for finding in findings:
        print(f"{finding.name:50} {finding.value:>12}  {finding.target:>8}  {finding.verdict}", flush=True)
    if not all(finding.met for finding in findings):
        sys.exit(f"Targets were missed. The logs are in {folder}.")
    shutil.rmtree(folder)


async def run(plan: RunpodPlan, folder: Path) -> list[RunFinding]:
    """Run the plan, and return its findings."""
    async with running_soak(plan, folder) as soak:
        return await soak.run()


if __name__ == "__main__":
    main()

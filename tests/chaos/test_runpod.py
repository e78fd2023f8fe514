"""A short run of jobs through the stand-in for RunPod."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chaos.runpod.__main__ import run
from chaos.runpod.plan import SHORT


async def test_no_job_is_lost_or_runs_twice(tmp_path: Path) -> None:
    """Calls fail, jobs are cancelled, and one worker is stopped: each job has one result, which is its own."""
    plan = dataclasses.replace(SHORT, jobs=150, kill_every_s=4.0)
    findings = await run(plan, tmp_path)
    assert [finding for finding in findings if not finding.met] == []
    assert any(finding.name.startswith("fault: job-done") for finding in findings)

"""Submissions whose answer was lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from worker.backends.registry import open_backend
from worker.errors import JobLost, SubmissionUncertain
from worker.proxy.config.tables import BackendTable
from worker.proxy.dispatch.repetition import send
from worker.proxy.dispatch.slot import BackendSlot


@pytest.mark.parametrize(
    ("url", "resubmits", "times"),
    [
        ("runpod://endpoint", False, 1),
        ("runpod://endpoint", True, 2),
        ("http://127.0.0.1:1", False, 2),
        ("http://127.0.0.1:1", True, 2),
    ],
)
async def test_an_open_submission_is_not_sent_again_if_it_must_not_run_twice(
    tmp_path: Path, url: str, resubmits: bool, times: int
) -> None:
    """With `resubmit = "never"` a job is lost at RunPod, which has no idempotency keys. A worker finds its job."""
    submissions: list[int] = []

    async def submit() -> Sequence[int]:
        submissions.append(1)
        if len(submissions) == 1:
            raise SubmissionUncertain("the connection broke")
        return submissions

    settings = BackendTable(name="first", url=url).settings({"RUNPOD_API_KEY": "key"}, tmp_path)
    async with open_backend(settings) as backend:
        slot = BackendSlot(backend, resubmits=resubmits)
        if times == 1:
            with pytest.raises(JobLost, match="may not be sent again"):
                await send(slot, submit)
        else:
            await send(slot, submit)
    assert len(submissions) == times

"""Tests of the message about ComfyUI's end."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest

from tests.engine.supervised import supervised
from tests.workflows import slow
from worker.engine.process.exit_cause import exit_cause, oom_kills


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (0, "ended with code 0"),
        (3, "ended with code 3"),
        (-signal.SIGSEGV, "crashed with SIGSEGV"),
        (-signal.SIGABRT, "crashed with SIGABRT"),
        (-signal.SIGTERM, "was ended by SIGTERM"),
        (-100, "was killed by signal 100"),
    ],
)
def test_each_code_is_a_cause(code: int, cause: str) -> None:
    """`exit_cause` names the signal of a negative code."""
    assert exit_cause(code, None) == cause


def test_sigkill_is_explained_by_memory() -> None:
    """`exit_cause` blames memory for SIGKILL, with certainty when the kernel counted a kill."""
    kills = oom_kills()
    certain = exit_cause(-signal.SIGKILL, -1 if kills is None else kills - 1)
    likely = exit_cause(-signal.SIGKILL, kills)
    numbers = r"( \(.*[\d.]+ GiB.*\))?"
    assert re.fullmatch(rf"was killed by SIGKILL, most likely because the machine ran out of memory{numbers}", likely)
    if kills is not None:
        assert re.fullmatch(rf"was killed by SIGKILL: the machine ran out of memory{numbers}", certain)


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (signal.SIGKILL, "ComfyUI was killed by SIGKILL, most likely because the machine ran out of memory"),
        (signal.SIGSEGV, "ComfyUI crashed with SIGSEGV"),
    ],
)
async def test_the_error_names_the_signal_and_the_node(
    tmp_path: Path, number: signal.Signals, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error of a job that crashed ComfyUI twice names the signal and the node."""
    workflow = slow(20.0)
    async with supervised(tmp_path) as worker:
        job = await worker.job(workflow)
        found = worker.app.manager.find(job["id"], job["token"])
        runs = set()
        async with asyncio.timeout(60):
            while len(runs) < 2:
                await asyncio.sleep(0.02)
                if found.progress is not None and found.prompt_id not in {*runs, None}:
                    runs.add(found.prompt_id)
                    node = found.progress
                    worker.signal(number)
        _, body = await worker.result(job)
        [detail] = body["error"]["details"]
        assert body["error"]["code"] == "job_crashes_engine"
        assert body["error"]["message"].startswith(f"ComfyUI crashed or hung each time this job ran: {cause}")
        assert (detail["node_id"], detail["node_title"], detail["class_type"]) == (
            node.node_id,
            node.title,
            node.class_type,
        )
        assert f", while node {node.node_id} ({node.title}, {node.class_type}) ran" in detail["message"]
        _, again = await worker.post("/generate/sync", {"workflow": workflow})
        assert cause in again["error"]["message"]
    assert f"ComfyUI lost a prompt that was running; sending it again: {cause}" in caplog.text
    assert f" s: it {cause.removeprefix('ComfyUI ')}" in caplog.text

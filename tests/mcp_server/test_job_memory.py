"""The memory of jobs, and the progress of one, without a server."""

from __future__ import annotations

from worker.mcp_server.job_memory import MOST_JOBS, JobMemory
from worker.mcp_server.mcp_progress import SHORTEST_PAUSE_S, McpProgress


def test_a_caller_finds_its_own_token_only() -> None:
    """The token of a job is for the caller that started it, and for no other caller with the same id."""
    memory = JobMemory()
    memory.remember("ann", {"id": "1", "token": "secret"})
    assert memory.find("ann", "1").token == "secret"
    assert memory.find("bob", "1").token is None


def test_the_oldest_jobs_are_forgotten() -> None:
    """The memory is bounded, and keeps the latest jobs."""
    memory = JobMemory()
    for number in range(MOST_JOBS + 1):
        memory.remember("ann", {"id": f"{number}", "token": "t"})
    assert memory.find("ann", "0").token is None
    assert memory.find("ann", f"{MOST_JOBS}").token == "t"


def test_progress_grows_whatever_is_predicted() -> None:
    """Each report exceeds the one before and stays below 1, also when the predicted end moves away or is not known."""
    progress, values = McpProgress(0.0), []
    for second, eta in enumerate([None, 10, 1, 500, 0, None, 1000] * 50, 1):
        progress.update("node", {"class_type": "KSampler", **({} if eta is None else {"eta_s": eta})}, float(second))
        values.append(progress.report(float(second))[0])
    assert values == sorted(set(values))
    assert values[0] > 0
    assert values[-1] < 1


def test_fast_steps_are_not_all_reported() -> None:
    """Steps that follow each other at once are one report, and the sentence has the latest."""
    progress = McpProgress(0.0)
    step = {"value": 3, "max": 20}
    progress.update("node", {"class_type": "KSampler", "title": "Sampler"}, 1.0)
    progress.report(1.0)
    assert not progress.update("step", step, 1.0 + SHORTEST_PAUSE_S / 2)
    assert progress.update("step", {**step, "value": 4}, 1.0 + SHORTEST_PAUSE_S)
    assert "Sampler, step 4 of 20" in progress.report(2.0)[1]

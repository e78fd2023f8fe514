"""Which results of nodes ComfyUI still has: those of the last prompt, or those of all prompts."""

from __future__ import annotations

from worker.load.learning.node_results import NO_LINE, LineResults, NodeResults
from worker.load.node_work import JobWork, NodeKind, NodeWork


def job(model: str, number: int) -> JobWork:
    """Return a job of three nodes: a loader, a text that is the same in each job of the model, and a sampler."""
    loader = NodeWork("loader", "CheckpointLoaderSimple", NodeKind.LOAD, reads=(model,))
    nodes = (loader, NodeWork("text", "CLIPTextEncode"), NodeWork("sampler", "KSampler"))
    ancestry = {"loader": model.encode(), "text": f"{model} text".encode(), "sampler": f"{model} {number}".encode()}
    return JobWork(nodes, 1.0, ancestry, {})


def run(results: NodeResults, work: JobWork, *ran: str) -> set[str]:
    """Return which nodes were expected to be cached, and record that these nodes ran and the others were cached."""
    expected = set(results.expected(work))
    results.job_ended(work, {"sampler", *ran}, None)
    return expected


def test_the_last_job_is_cached() -> None:
    """A job with the nodes of the last one is expected to run only what differs. Nothing is known at the start."""
    results = NodeResults()
    assert run(results, job("a", 1), "loader", "text") == set()
    assert run(results, job("a", 2)) == {"loader", "text"}


def test_a_machine_that_keeps_only_the_last_prompt() -> None:
    """Where two models in turn load again each time, nothing of an older job is expected."""
    results = NodeResults()
    for number in range(10):
        assert run(results, job("ab"[number % 2], number), "loader", "text") == set()
    assert run(results, job("b", 10)) == {"loader", "text"}


def test_a_machine_that_keeps_all_prompts() -> None:
    """Where an older result was still there, results of that age are expected from then on, and then older ones."""
    results = NodeResults()
    for number, model in enumerate("abc"):
        run(results, job(model, number), "loader", "text")
    assert run(results, job("a", 3)) == set(), "it is not known yet that older results are kept"
    assert run(results, job("b", 4)) == {"loader", "text"}
    assert results.kept > 3


def test_results_that_were_lost_are_no_longer_expected() -> None:
    """When a loader runs again although it was expected, the machine keeps fewer jobs than thought."""
    results = NodeResults()
    for number, model in enumerate("abcabc"):
        run(results, job(model, number), *(("loader", "text") if number < 3 else ()))
    assert run(results, job("a", 6), "loader", "text") == {"loader", "text"}
    assert results.kept == 2
    assert run(results, job("b", 7), "loader", "text") == set()


def test_a_node_that_always_runs_says_nothing() -> None:
    """A node that is no loader may run each time, for example because it draws a number."""
    results = NodeResults()
    for number in range(4):
        run(results, job("a", number), *(("loader", "text") if not number else ("text",)))
    assert results.kept == 1
    assert "loader" in set(results.expected(job("a", 9)))


def test_a_small_node_of_an_older_job_says_nothing() -> None:
    """A node without a model is kept while it is in the prompts, also if a job between does not need it."""
    results = NodeResults()
    empty = NodeWork("empty", "EmptyLatentImage")
    first = job("a", 1)
    with_latent = JobWork((*first.nodes, empty), 1.0, {**first.ancestry, "empty": b"64x64"}, {})
    run(results, with_latent, "loader", "text", "empty")
    run(results, job("a", 2))
    run(results, with_latent)
    assert results.kept == 1


def test_jobs_of_a_line_make_results_first() -> None:
    """A job behind others finds their results, as far back as the machine keeps them."""
    results = NodeResults()
    line = LineResults.of([job("a", 1), job("b", 2)], 2)
    assert set(results.expected(job("b", 3), line)) == {"loader", "text"}
    assert set(results.expected(job("a", 3), line)) == set()
    results.kept = 2
    assert set(results.expected(job("a", 3), line)) == {"loader", "text"}
    assert set(results.expected(job("c", 3), line)) == set()
    assert set(results.expected(job("a", 3), NO_LINE)) == set()


def test_failed_jobs_leave_the_results_of_their_completed_nodes() -> None:
    """Only nodes that completed have a result."""
    results = NodeResults()
    results.job_ended(job("a", 1), {"loader", "text", "sampler"}, {"loader"})
    assert set(results.expected(job("a", 1))) == {"loader"}


def test_a_job_whose_events_were_lost_says_nothing() -> None:
    """If no node is known to have run, it is not known either what was cached."""
    results = NodeResults()
    for number in range(4):
        run(results, job("ab"[number % 2], number), "loader", "text")
    results.job_ended(job("a", 4), set(), None)
    assert results.kept == 1


def test_an_engine_without_a_cache() -> None:
    """Where the loader of the last job runs again, nothing is expected, until a result of the last job was there."""
    results = NodeResults()
    run(results, job("a", 0), "loader", "text")
    assert run(results, job("a", 1), "loader", "text") == {"loader", "text"}
    assert run(results, job("a", 2), "loader", "text") == set()
    assert run(results, job("a", 3)) == set()
    assert run(results, job("a", 4)) == {"loader", "text"}
    assert results.kept == 1

"""The pure parts: URLs, bodies, pacing, the decision to take, and what follows from an answer."""

from __future__ import annotations

import json
import re
import socket

import pytest

from worker.bodies import BodyLimits, ScannedBody
from worker.check_finding import Level
from worker.errors import InvalidJson, StartupError
from worker.platforms.registry import choose
from worker.platforms.runpod.queue.poll_pacing import PollPacing
from worker.platforms.runpod.queue.queue_client import QueueAnswer, open_socket
from worker.platforms.runpod.queue.result_body import (
    ASYNC_LIMIT,
    completed_result,
    failed_result,
    limit_of,
    too_large,
)
from worker.platforms.runpod.queue.result_sender import NextStep, next_step
from worker.platforms.runpod.queue.take_decision import QueueLoad, decide
from worker.platforms.runpod.queue.taken_job import taken_jobs, unreadable_job
from worker.platforms.runpod.queue.urls import QueueUrls
from worker.platforms.runpod.settings import RunpodSettings

BASE = "https://api.example.com/v2/ep"


def settings(**variables: str) -> RunpodSettings:
    fixed = {
        "RUNPOD_WEBHOOK_GET_JOB": f"{BASE}/job-take/$ID?gpu=A+B",
        "RUNPOD_WEBHOOK_POST_OUTPUT": f"{BASE}/job-done/$RUNPOD_POD_ID/$ID?gpu=A+B",
        "RUNPOD_WEBHOOK_PING": f"{BASE}/ping/$RUNPOD_POD_ID?gpu=A+B",
        "RUNPOD_POD_ID": "pod0",
        "RUNPOD_AI_API_KEY": "key",
    }
    return RunpodSettings.from_env({**fixed, **variables})


def test_the_urls_are_those_of_the_sdk() -> None:
    """Each call has the path and the query that RunPod's SDK sends, in its order."""
    urls = QueueUrls.of(settings())
    assert urls.take_jobs(1, busy=False) == f"{BASE}/job-take/pod0?gpu=A+B&job_in_progress=0"
    assert urls.take_jobs(3, busy=True) == f"{BASE}/job-take-batch/pod0?gpu=A+B&batch_size=3&job_in_progress=1"
    assert urls.stopped_jobs() == f"{BASE}/job-stop/pod0?gpu=A+B"
    assert urls.result("sync-1-e1") == f"{BASE}/job-done/pod0/sync-1-e1?gpu=A+B&isStream=false"
    assert urls.ping(["a", "b"]) == f"{BASE}/ping/pod0?gpu=A+B&job_id=a,b&runpod_version=1.11.0"
    assert urls.ping([]) == f"{BASE}/ping/pod0?gpu=A+B&runpod_version=1.11.0"
    assert "status=unhealthy&check=gpu&reason=a+b%26c" in urls.unhealthy("gpu", "a b&c")


def test_a_worker_without_an_id_or_a_key_sends_no_pings() -> None:
    """RunPod could not tell which worker it is. Takes have a random id, as those of the SDK."""
    assert QueueUrls.of(settings(RUNPOD_AI_API_KEY="")).heartbeat == ""
    urls = QueueUrls.of(settings(RUNPOD_POD_ID=""))
    assert urls.heartbeat == ""
    assert re.search(r"/job-take/[0-9a-f]{32}\?", urls.take)


def test_connections_are_checked_while_nothing_is_sent() -> None:
    """A connection that a frozen machine has lost ends 25 s later, and not when the poll times out."""
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_urls_without_a_query_get_one() -> None:
    """R20: without `?` in a variable, the parameters are a query and no part of the path."""
    urls = QueueUrls.of(settings(RUNPOD_WEBHOOK_GET_JOB=f"{BASE}/job-take/$ID"))
    assert urls.take_jobs(1, busy=False) == f"{BASE}/job-take/pod0?job_in_progress=0"
    assert urls.stopped_jobs() == f"{BASE}/job-stop/pod0"


@pytest.mark.parametrize("url", ["not a URL", "ftp://x/job-take/$ID", f"{BASE}/other/$ID"])
def test_a_url_that_cannot_be_used_is_named(url: str) -> None:
    """The error names the variable, and not the URL with its key."""
    with pytest.raises(StartupError, match="RUNPOD_WEBHOOK_GET_JOB"):
        QueueUrls.of(settings(RUNPOD_WEBHOOK_GET_JOB=url))
    with pytest.raises(StartupError, match="RUNPOD_WEBHOOK_POST_OUTPUT"):
        QueueUrls.of(settings(RUNPOD_WEBHOOK_POST_OUTPUT=f"{BASE}/job-done/$RUNPOD_POD_ID"))


def test_an_id_cannot_change_the_path() -> None:
    """Characters of an id that have a meaning in URLs are quoted."""
    assert "/job-done/pod0/..%2Fa%3Fb?gpu" in QueueUrls.of(settings()).result("../a?b")


@pytest.mark.parametrize(("text", "seconds"), [("10000", 10.0), ("999", 1.0), ("0", 1.0)])
def test_the_interval_of_pings_has_a_minimum(text: str, seconds: float) -> None:
    """R19: an interval below a second is a second, and no busy loop and no crash."""
    assert settings(RUNPOD_PING_INTERVAL=text).ping_s == seconds


def test_a_wrong_setting_is_named() -> None:
    """The error for a wrong value names its variable."""
    with pytest.raises(StartupError, match="WORKER_RUNPOD_PREFETCH"):
        settings(WORKER_RUNPOD_PREFETCH="soon")


@pytest.mark.parametrize(
    ("load", "count"),
    [
        (QueueLoad([0.0]), 1),
        (QueueLoad([0.0, 0.0, 0.0, 0.0], jobs=1), 3),
        (QueueLoad([4.9], 4.9, jobs=1), 1),
        (QueueLoad([5.1], 5.1, jobs=1), 0),
        (QueueLoad([3.0], 17.0, jobs=1), 0),
        (QueueLoad([1.0], 0.5, jobs=2), 0),
        (QueueLoad([100.0, 2.0], 2.0, jobs=2), 1),
        (QueueLoad([100.0, 6.0], 2.0, jobs=3), 0),
        (QueueLoad([]), 0),
        (QueueLoad([0.0], calls=1), 0),
        (QueueLoad([0.0, 0.0], calls=1), 1),
    ],
)
def test_a_job_is_taken_when_an_engine_is_soon_free(load: QueueLoad, count: int) -> None:
    """Free engines take a batch. A busy one takes a job if it ends soon, also by the 90 % quantile, and just one."""
    assert decide(load, 5.0).count == count


def test_without_prefetch_only_free_engines_take_jobs() -> None:
    """WORKER_RUNPOD_PREFETCH=0 takes the next job when the running one has ended."""
    assert [decide(QueueLoad([0.0], jobs=jobs), 0.0).count for jobs in (0, 1)] == [1, 0]


def test_the_next_look_is_when_the_job_is_expected_to_end() -> None:
    """The pause ends with the prefetch, and is at most a second, because predictions change."""
    assert decide(QueueLoad([5.5], 5.5, jobs=1), 5.0).again_s == pytest.approx(0.5)
    assert decide(QueueLoad([110.0], 110.0, jobs=1), 5.0).again_s == 1.0


def test_polls_that_fail_are_slowed_down() -> None:
    """R7: errors and empty answers that come at once are followed by pauses, held ones and jobs are not."""
    pacing, empty, broken = PollPacing(), QueueAnswer(204), QueueAnswer(500)
    assert pacing.pause(empty, 0, 20.0) == 0.0
    assert [pacing.pause(empty, 0, 0.0) > 0 for _ in range(3)] == [True, True, True]
    assert pacing.pause(QueueAnswer(200), 1, 0.0) == 0.0
    pauses = [pacing.pause(broken, 0, 0.0) for _ in range(8)]
    assert pauses[0] >= 0.25
    assert 7.5 <= pauses[-1] <= 15
    assert pacing.pause(None, 0, 0.0) >= 7.5
    assert pacing.pause(QueueAnswer(429), 0, 0.0) == 5.0
    assert pacing.pause(QueueAnswer(429, 7.0), 0, 0.0) == 7.0


@pytest.mark.parametrize(
    ("status", "replaced", "step"),
    [
        (200, False, NextStep.DONE),
        (204, False, NextStep.DONE),
        (400, False, NextStep.REPLACE),
        (413, False, NextStep.REPLACE),
        (400, True, NextStep.DROP),
        (404, False, NextStep.DROP),
        (401, False, NextStep.REPEAT),
        (429, False, NextStep.REPEAT),
        (500, True, NextStep.REPEAT),
        (None, False, NextStep.REPEAT),
    ],
)
def test_what_follows_from_an_answer(status: int | None, *, replaced: bool, step: NextStep) -> None:
    """R1, R2: a result is sent until it is accepted, and one that never will be is replaced by an error."""
    assert next_step(None if status is None else QueueAnswer(status), replaced=replaced) is step


def test_results_are_built_as_the_sdk_builds_them() -> None:
    """R3, R15: `error` is a text, its other fields are in `output`, and `stopPod` is beside them."""
    assert json.loads(completed_result(b'{"a":1}', stop_pod=True)) == {"output": {"a": 1}, "stopPod": True}
    assert json.loads(failed_result({"error": "no", "id": "1"})) == {"output": {"id": "1"}, "error": "no"}
    long = json.loads(failed_result({"error": "e" * 9000, "details": "x" * ASYNC_LIMIT}, stop_pod=True))
    assert (len(long["error"]), long.keys()) == (4000, {"error", "stopPod"})


def test_the_limit_depends_on_the_id() -> None:
    """A job of /runsync may have a larger result, and the error says what to set."""
    assert (limit_of("1-e1"), limit_of("sync-1-e1")) == (9_500_000, 19_000_000)
    for cure in ("s3Config", "WORKER_S3_BUCKET", "BUCKET_ENDPOINT_URL", "/runsync"):
        assert cure in too_large("sync-1-e1", 30_000_000).message


def test_items_of_a_take_are_jobs() -> None:
    """R17: an item without an id is left out. RunPod's webhook is not part of the request."""
    job = {"id": "1", "input": {"a": 1}, "webhook": "https://x", "s3Config": {"accessId": "k"}, "batchId": "b"}
    jobs = taken_jobs(ScannedBody([job, {"input": {}}, "text", {"id": 3}], [], BodyLimits(1000)))
    assert [taken.id for taken in jobs] == ["1"]
    assert isinstance(jobs[0].request, ScannedBody)
    assert jobs[0].request.value == {"input": {"a": 1}, "s3Config": {"accessId": "k"}}


def test_a_job_that_cannot_be_read_is_answered_by_its_id() -> None:
    """The id at the beginning is enough for an error as result. Without it, the answer is an error."""
    error = InvalidJson("too deep")
    assert [job.id for job in unreadable_job(b' [ {"id": "a-e1", "input": [[', error)] == ["a-e1"]
    with pytest.raises(InvalidJson):
        unreadable_job(b"<html>", error)


def test_detection_names_its_evidence() -> None:
    """The queue's variable is enough to find the platform, and `doctor` checks the URLs."""
    platform = choose("runpod", {}).platform
    assert platform.detect({"RUNPOD_WEBHOOK_GET_JOB": f"{BASE}/job-take/$ID"}).found
    assert [finding.level for finding in platform.check({})] == [Level.FAIL]

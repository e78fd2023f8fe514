"""The comparison of a response with ComfyUI's log."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from real.comparison import DeliveredOutput, JobAnswer, differences, repeats
from real.embedded_engine import Recording, divergences
from real.engine_log import EngineLog, RecordedRun, WrittenFile
from real.jobs import ExpectedOutput, RealJob
from real.passes import JobResult, RequestMode

CONTENT = b"a picture"
SUM = hashlib.sha256(CONTENT).hexdigest()
JOB = RealJob("pack", "job", {}, [ExpectedOutput("2", "image", {"width": 64})])
FILE = WrittenFile("output", "a/x.png", SUM)
RUN = RecordedRun(
    {"1": {"class_type": "EmptyImage"}, "2": {"class_type": "SaveImage"}}, ["1", "2"], end="execution_success"
)
LOG = EngineLog([RUN], [FILE], [])
CONTENTS = {("output", "a/x.png"): {SUM}}
FIELDS = {
    "node_id": "2",
    "kind": "image",
    "filename": "x.png",
    "subfolder": "a",
    "width": 64,
    "bytes": len(CONTENT),
    "sha256": SUM,
}
OUTPUT = DeliveredOutput(FIELDS, CONTENT)
ANSWER = JobAnswer(200, {}, [OUTPUT])


def test_expected_response_has_no_differences() -> None:
    """A response with the expected kinds, facts and bytes has no differences."""
    assert differences(JOB, ANSWER, LOG, CONTENTS) == []


@pytest.mark.parametrize(
    ("job", "answer", "sentence"),
    [
        (JOB, JobAnswer(200, {}, []), "saved but not delivered: a/x.png"),
        (JOB, JobAnswer(200, {}, [OUTPUT, OUTPUT]), "delivered but not expected: 1 image of node 2"),
        (
            JOB,
            JobAnswer(200, {}, [DeliveredOutput(FIELDS, b"other")]),
            "a/x.png: the bytes differ from what ComfyUI wrote",
        ),
        (JOB, JobAnswer(200, {}, [DeliveredOutput(FIELDS | {"width": 1}, CONTENT)]), "node 2: width is 1, expected 64"),
        (JOB, JobAnswer(422, {"error": {"code": "node_failed", "message": "x"}}, []), "response 422 node_failed: x"),
        (JOB, JobAnswer(200, {"problems": [{"message": "lost"}]}, [OUTPUT]), "unexpected problems: ['lost']"),
        (replace(JOB, problem=True), ANSWER, "the response names no problem, but one was expected"),
        (replace(JOB, fails="boom"), ANSWER, "response 200 None: None, expected the failure: boom"),
    ],
)
def test_each_difference_is_named(job: RealJob, answer: JobAnswer, sentence: str) -> None:
    """Each kind of difference is one line."""
    assert sentence in differences(job, answer, LOG, CONTENTS)


def test_companions_and_model_files_need_not_be_delivered() -> None:
    """Companion files need not be delivered, and model files only when the job requests them."""
    files = [FILE, WrittenFile("output", "a/x.wav", "1"), WrittenFile("output", "vae/x.safetensors", "2")]
    log = EngineLog([RUN], files, [])
    job = replace(JOB, companions=["a/*.wav"])
    assert differences(job, ANSWER, log, CONTENTS) == []
    (sentence,) = differences(replace(job, deliver_models=True), ANSWER, log, CONTENTS)
    assert sentence == "saved but not delivered: vae/x.safetensors"


def test_only_savers_may_run_twice() -> None:
    """A saver may run twice in one request. Any other node may not, and a third run is a difference."""
    assert repeats(JOB, EngineLog([RUN, RecordedRun({}, ["2"])], [], []), {"2"}) == []
    assert repeats(JOB, EngineLog([RUN, RUN], [], []), {"2"}) == ["executed again: 1"]
    assert repeats(JOB, EngineLog([RUN, RUN, RUN], [], []), {"2"}) == ["the prompt ran 3 times"]


def test_divergences_of_the_embedded_engine() -> None:
    """Divergences are outputs, executed nodes and kinds of reports, not names or texts."""
    real = JobResult(JOB, RequestMode.INLINE, [("2", "image")], log=LOG)
    assert list(divergences(Recording.of(real), Recording.of(replace(real, mode=RequestMode.EMBEDDED)))) == []
    other = replace(RUN, executed=["2"], reported=[("2", {"text": ["a"]})])
    embedded = replace(real, log=EngineLog([other], [], []), outputs=[("2", "text")])
    assert list(divergences(Recording.of(real), Recording.of(embedded))) == [
        "delivers 1 text of node 2 instead of 1 image of node 2",
        "executes ['2'] instead of ['1', '2']",
        "reports {'2': {'text': ['str']}} instead of nothing",
    ]

"""What the comparison of an answer with ComfyUI's own log finds."""

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


def test_an_answer_as_it_should_be_has_no_differences() -> None:
    """Kind, facts and bytes are those that ComfyUI wrote."""
    assert differences(JOB, ANSWER, LOG, CONTENTS) == []


@pytest.mark.parametrize(
    ("job", "answer", "sentence"),
    [
        (JOB, JobAnswer(200, {}, []), "saved and not delivered: a/x.png"),
        (JOB, JobAnswer(200, {}, [OUTPUT, OUTPUT]), "delivered beyond what is due: 1 image of node 2"),
        (JOB, JobAnswer(200, {}, [DeliveredOutput(FIELDS, b"other")]), "a/x.png: other bytes than ComfyUI wrote"),
        (JOB, JobAnswer(200, {}, [DeliveredOutput(FIELDS | {"width": 1}, CONTENT)]), "node 2: width is 1, expected 64"),
        (JOB, JobAnswer(422, {"error": {"code": "node_failed", "message": "x"}}, []), "answered 422 node_failed: x"),
        (JOB, JobAnswer(200, {"problems": [{"message": "lost"}]}, [OUTPUT]), "names problems: ['lost']"),
        (replace(JOB, problem=True), ANSWER, "no problem is named"),
        (replace(JOB, fails="boom"), ANSWER, "answered 200 None: None, expected a failure: boom"),
    ],
)
def test_each_difference_is_named(job: RealJob, answer: JobAnswer, sentence: str) -> None:
    """A lost, surplus or changed output, a wrong fact, an error and an unnamed problem are a sentence each."""
    assert sentence in differences(job, answer, LOG, CONTENTS)


def test_companions_and_model_files_are_not_due() -> None:
    """They stay behind without a difference, a model file as long as the request does not ask for it."""
    files = [FILE, WrittenFile("output", "a/x.wav", "1"), WrittenFile("output", "vae/x.safetensors", "2")]
    log = EngineLog([RUN], files, [])
    job = replace(JOB, companions=["a/*.wav"])
    assert differences(job, ANSWER, log, CONTENTS) == []
    (sentence,) = differences(replace(job, deliver_models=True), ANSWER, log, CONTENTS)
    assert sentence == "saved and not delivered: vae/x.safetensors"


def test_only_savers_may_run_once_more() -> None:
    """A second run of a saver is none of the differences; one of another node is, and so is a third run."""
    assert repeats(JOB, EngineLog([RUN, RecordedRun({}, ["2"])], [], []), {"2"}) == []
    assert repeats(JOB, EngineLog([RUN, RUN], [], []), {"2"}) == ["executed again: 1"]
    assert repeats(JOB, EngineLog([RUN, RUN, RUN], [], []), {"2"}) == ["ran 3 times"]


def test_the_embedded_engine_is_compared_by_what_it_reports_and_runs() -> None:
    """Names and texts may differ; keys, kinds, order and the end may not."""
    real = JobResult(JOB, RequestMode.INLINE, [("2", "image")], log=LOG)
    assert list(divergences(Recording.of(real), Recording.of(replace(real, mode=RequestMode.EMBEDDED)))) == []
    other = replace(RUN, executed=["2"], reported=[("2", {"text": ["a"]})])
    twin = replace(real, log=EngineLog([other], [], []), outputs=[("2", "text")])
    assert list(divergences(Recording.of(real), Recording.of(twin))) == [
        "delivers 1 text of node 2 instead of 1 image of node 2",
        "executes ['2'] instead of ['1', '2']",
        "reports {'2': {'text': ['str']}} instead of nothing",
    ]

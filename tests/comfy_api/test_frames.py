"""The frames of a prompt for sequences of events that an engine causes rarely."""

from __future__ import annotations

from worker.api.comfy.frames import Frame, ImageFrame, PromptFrames
from worker.errors import Detail, JobCancelled, JobTimeout, NodeFailed
from worker.events import NodeExecuted, NodesCached, NodeStarted, PreviewReady, RunEnded, StateChanged, StepDone
from worker.job import JobRef, JobState

REF = JobRef("id", "ann", "job-1")
PROMPT = {name: {"class_type": f"Class{name}", "inputs": {}} for name in ("1", "2", "3")}


def started(frames: PromptFrames) -> list[Frame]:
    return frames.state_changed(StateChanged(REF, JobState.GENERATING, JobState.WAITING, 0.0))


def lost(frames: PromptFrames) -> list[Frame]:
    return frames.state_changed(StateChanged(REF, JobState.WAITING, JobState.GENERATING, 0.0))


def node(frames: PromptFrames, node_id: str, display: str | None = None) -> list[Frame]:
    return frames.node_started(NodeStarted(REF, node_id, "", "", display))


def executed(frames: PromptFrames, node_id: str, name: str) -> list[Frame]:
    return frames.node_executed(NodeExecuted(REF, node_id, b""), {"images": [{"filename": name}]})


def kinds(*shown: list[Frame]) -> list[str]:
    return ["image" if isinstance(frame, ImageFrame) else frame.type for frames in shown for frame in frames]


def test_a_node_that_was_cached_is_not_shown_to_run_later() -> None:
    """A run that starts again on a new engine has nothing cached. Its client sees only what it has not seen."""
    frames = PromptFrames("id", PROMPT)
    assert kinds(started(frames), frames.cached(NodesCached(REF, ("1",)))) == ["execution_start", "execution_cached"]
    assert kinds(node(frames, "2")) == ["progress_state", "executing"]
    again = [lost(frames), started(frames), node(frames, "1"), node(frames, "2")]
    assert kinds(*again) == []
    assert kinds(node(frames, "3")) == ["progress_state", "progress_state", "executing"]


def test_a_result_with_another_name_is_shown_again() -> None:
    """The second run of a node writes another file, which replaces the first one."""
    frames = PromptFrames("id", PROMPT)
    started(frames)
    node(frames, "3")
    assert kinds(executed(frames, "3", "a_1.png")) == ["executed", "progress_state"]
    lost(frames)
    assert kinds(started(frames), node(frames, "3"), executed(frames, "3", "a_1.png")) == []
    assert kinds(executed(frames, "3", "a_2.png")) == ["executed"]
    assert frames.outputs == {"3": {"images": [{"filename": "a_2.png"}]}}


def test_a_second_run_for_missing_files_shows_no_nodes() -> None:
    """After the end of the run, only results are shown."""
    frames = PromptFrames("id", PROMPT)
    started(frames)
    node(frames, "3")
    frames.run_ended(RunEnded(REF, succeeded=True))
    assert kinds(node(frames, "9"), frames.step_done(StepDone(REF, "9", 1, 1))) == []
    assert kinds(executed(frames, "3", "a.png")) == ["executed", "progress_state"]


def test_an_expanded_node_names_the_node_of_the_workflow() -> None:
    """`display_node` is the node that the editor shows, also in previews and in the history."""
    frames = PromptFrames("id", PROMPT)
    started(frames)
    *_, executing = node(frames, "3.0.1", "3")
    assert executing.data["display_node"] == "3"
    frames.image_ready(PreviewReady(REF, "3.0.1", "image/png", b"x"))
    [image] = frames.waiting_image()
    assert (image.metadata["display_node_id"], image.metadata["parent_node_id"]) == ("3", "3")
    executed(frames, "3.0.1", "a.png")
    assert frames.meta["3.0.1"] == {"node_id": "3.0.1", "display_node": "3", "parent_node": "3", "real_node_id": "3"}


def test_every_end_follows_a_start() -> None:
    """A job that never ran is shown with a start and an end, in the order of ComfyUI."""
    start = ["execution_start", "execution_cached"]
    assert kinds(PromptFrames("id", PROMPT).finished(JobCancelled("x"))) == [*start, "execution_interrupted"]
    assert kinds(PromptFrames("id", PROMPT).finished(JobTimeout("x"))) == [*start, "execution_error"]
    assert kinds(PromptFrames("id", PROMPT).finished(None)) == [*start, "execution_success"]


def test_an_error_names_its_node_and_its_exception() -> None:
    """The fields of the error are those of the exception that the node raised."""
    frames = PromptFrames("id", PROMPT)
    started(frames)
    node(frames, "2")
    error = frames.finished(NodeFailed("node 2 raised", [Detail("ValueError: bad: value", "2")]))[-1].data
    assert (error["node_id"], error["node_type"], error["executed"]) == ("2", "Class2", [])
    assert (error["exception_type"], error["exception_message"]) == ("ValueError", "bad: value")


def test_nothing_large_is_made_if_nobody_listens() -> None:
    """Without a client, no progress of all nodes is made, and the state is the same."""
    frames = PromptFrames("id", PROMPT)
    started(frames)
    assert kinds(frames.node_started(NodeStarted(REF, "1", "", ""), listening=False)) == [
        "execution_cached",
        "executing",
    ]
    assert kinds(frames.step_done(StepDone(REF, "1", 1, 2), listening=False)) == ["progress"]
    assert kinds(node(frames, "2")) == ["progress_state", "progress_state", "executing"]

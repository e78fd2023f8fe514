"""The comparison of a replay with its recording ignores what differs from run to run, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from tests.conformance.comparison.compare import compare
from tests.conformance.comparison.names import ReplayNames
from tests.conformance.recorded.transcript import (
    BinaryFrame,
    ClientConnects,
    Event,
    Frame,
    HttpExchange,
    Moment,
    ReceivedFrame,
    RecordedBody,
    RecordedRequest,
    RecordedResponse,
    TextFrame,
    Transcript,
)
from tests.conformance.replaying.replay import ReplayOutcome
from worker.workflow.json_value import Json

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
POST = RecordedRequest("POST", "/prompt", body=b"{}")


def accepted(prompt_id: str, number: int) -> RecordedResponse:
    body = orjson.dumps({"prompt_id": prompt_id, "number": number, "node_errors": {}})
    return RecordedResponse(200, {"content-type": "application/json"}, RecordedBody(len(body), body))


def text(kind: str, **data: Json) -> TextFrame:
    return TextFrame(kind, data)


def state(prompt_id: str, **nodes: str) -> TextFrame:
    states: dict[str, Json] = {node: {"state": value, "value": 0.0, "max": 1.0} for node, value in nodes.items()}
    return text("progress_state", prompt_id=prompt_id, nodes=states)


def job(prompt_id: str, time: int) -> list[Frame]:
    """Return the frames of a prompt with two independent output nodes."""
    return [
        text("execution_start", prompt_id=prompt_id, timestamp=time),
        state(prompt_id, a="running"),
        text("executing", node="a", display_node="a", prompt_id=prompt_id),
        text("executed", node="a", display_node="a", output={"images": []}, prompt_id=prompt_id),
        state(prompt_id, a="finished"),
        state(prompt_id, a="finished", b="running"),
        text("executing", node="b", display_node="b", prompt_id=prompt_id),
        BinaryFrame(3, {"node_id": "b"}, b"text"),
        state(prompt_id, a="finished", b="finished"),
        text("execution_success", prompt_id=prompt_id, timestamp=time),
        text("executing", node=None, prompt_id=prompt_id),
    ]


def recorded() -> Transcript:
    events: list[Event] = [ClientConnects(client, "/ws", accepted=True) for client in "AB"]
    events.append(HttpExchange(POST, accepted(OLD, 40)))
    events += [ReceivedFrame("A", frame) for frame in job(OLD, 1)]
    return Transcript("test", tuple(Moment(event, 0.0) for event in events))


def replayed() -> ReplayOutcome:
    """Return an equal outcome with another id, number and time."""
    names = ReplayNames("127.0.0.1:9")
    names.learn_response(POST, accepted(OLD, 40), accepted(NEW, 0))
    return ReplayOutcome(names, [(HttpExchange(POST, accepted(OLD, 40)), accepted(NEW, 0))], {"A": job(NEW, 7)})


def places(outcome: ReplayOutcome) -> list[str]:
    return [difference.place for difference in compare(recorded(), outcome)]


def test_ids_numbers_and_times_are_no_difference() -> None:
    """Other ids, numbers and times are no difference."""
    assert places(replayed()) == []


def test_independent_nodes_may_run_in_another_order() -> None:
    """Another order of independent nodes is no difference."""
    frames = job(NEW, 7)
    frames[1:9] = [
        state(NEW, b="running"),
        text("executing", node="b", display_node="b", prompt_id=NEW),
        BinaryFrame(3, {"node_id": "b"}, b"text"),
        state(NEW, b="finished"),
        state(NEW, a="running", b="finished"),
        text("executing", node="a", display_node="a", prompt_id=NEW),
        text("executed", node="a", display_node="a", output={"images": []}, prompt_id=NEW),
        state(NEW, a="finished", b="finished"),
    ]
    assert places(replace(replayed(), frames={"A": frames})) == []


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (replace(accepted(NEW, 0), status=500), "000 POST /prompt status"),
        (accepted(NEW, 3), "000 POST /prompt body $.number value"),
        (accepted(OLD, 0), "000 POST /prompt body $.prompt_id value"),
        (None, "000 POST /prompt answered"),
    ],
)
def test_another_response_is_a_difference(answer: RecordedResponse | None, place: str) -> None:
    """Another status, another value or a missing response is a difference."""
    outcome = replayed()
    assert place in places(replace(outcome, answers=[(outcome.answers[0][0], answer)]))


@pytest.mark.parametrize("index", range(len(job(NEW, 7))))
def test_a_missing_frame_is_a_difference(index: int) -> None:
    """A missing frame is a difference."""
    frames = job(NEW, 7)
    del frames[index]
    assert places(replace(replayed(), frames={"A": frames}))


def test_another_order_of_frames_is_a_difference() -> None:
    """Another order of the frames of one node is a difference."""
    frames = job(NEW, 7)
    frames[2], frames[3] = frames[3], frames[2]
    assert places(replace(replayed(), frames={"A": frames})) == ["ws A order at 2"]


def test_a_state_without_an_earlier_node_is_a_difference() -> None:
    """A `progress_state` without an earlier node is a difference."""
    frames = job(NEW, 7)
    frames[5] = state(NEW, b="running")
    assert places(replace(replayed(), frames={"A": frames}))


def test_a_frame_for_another_client_is_a_difference() -> None:
    """A frame for another client is a difference."""
    assert places(replace(replayed(), frames={"A": job(NEW, 7), "B": job(NEW, 7)})) == ["ws B order at 0"]
    assert places(replace(replayed(), frames={"A": []})) == ["ws A order at 0"]

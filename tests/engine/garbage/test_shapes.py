"""Tests of recorded frames and responses with one value of another JSON type."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.bad_input.bodies import OTHER_VALUES, places, swapped
from tests.engine.garbage.recorded import Session, record
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.engine.protocol.messages import Executed, UnexpectedShape, parse_binary, parse_text
from worker.engine.protocol.responses import read_history, read_info, read_queue, read_submission, read_upload
from worker.outputs.reports import node_outputs
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.explain import explain
from worker.workflow.validation.validate import validate

VALUES = st.sampled_from(
    (*OTHER_VALUES, float("nan"), float("inf"), "\ud800", 10**400, {"filename": []}, [{"filename": 1}])
)
READERS: dict[str, Callable[[object], object]] = {
    "/queue": read_queue,
    "/history": lambda answer: [read_history(answer, key) for key in (answer if isinstance(answer, dict) else [""])],
    "/prompt": lambda answer: [read_submission(status, answer) for status in (200, 400, 500)],
    "/system_stats": read_info,
    "/upload": read_upload,
}
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def session(engine: EngineHandle) -> Session:
    """The recorded session, once for all tests of this module."""
    return asyncio.run(record(engine))


def as_sent(value: object) -> str:
    """Return JSON as Python's `json` writes it, with NaN and lone surrogates."""
    import json

    return json.dumps(value)


@EXAMPLES
@given(data=st.data())
def test_frames_are_read_or_left_out(session: Session, data: st.DataObject) -> None:
    """`parse_text` returns a message or None for any frame, and raises nothing."""
    frame = data.draw(st.sampled_from(session.frames))
    changed = swapped(frame, data.draw(st.sampled_from(list(places(frame)))), data.draw(VALUES))
    message = parse_text(as_sent(changed))
    if isinstance(message, Executed):
        for found in node_outputs(message.node, message.output, is_output=True):
            orjson.dumps(str(found.item))


@EXAMPLES
@given(data=st.data())
def test_previews_are_read_or_left_out(session: Session, data: st.DataObject) -> None:
    """`parse_binary` returns a preview or None for any header, truncated frame or wrong length."""
    preview = data.draw(st.sampled_from(session.previews))
    event, length = struct.unpack_from(">II", preview)
    header = orjson.loads(preview[8 : 8 + length])
    changed = swapped(header, data.draw(st.sampled_from(list(places(header)))), data.draw(VALUES))
    text = as_sent(changed).encode()
    size = data.draw(st.sampled_from([len(text), 0, len(text) - 1, 2**32 - 1]))
    frame = struct.pack(">II", event, size) + text + b"x"
    parse_binary(frame[: data.draw(st.integers(0, len(frame)))])
    parse_binary(frame)


@EXAMPLES
@given(data=st.data())
def test_answers_are_read_or_have_another_shape(session: Session, data: st.DataObject) -> None:
    """Reading a response raises nothing but UnexpectedShape, whatever value it contains."""
    route = data.draw(st.sampled_from(sorted(READERS)))
    answer = data.draw(st.sampled_from(session.answers[route]))
    changed = swapped(answer, data.draw(st.sampled_from(list(places(answer)))), data.draw(VALUES))
    with suppress(UnexpectedShape):
        READERS[route](changed)


@pytest.mark.parametrize("odd", [5, True, "abc", {"a": 1}, 1.5])
def test_lists_of_a_history_that_are_none(odd: object) -> None:
    """`read_history` raises UnexpectedShape when messages or nodes are not lists."""
    cached = {"status": {"messages": [["execution_cached", {"nodes": odd}]]}}
    for entry in ({"outputs": {}, "status": {"messages": odd}}, cached):
        with pytest.raises(UnexpectedShape):
            read_history({"p": entry}, "p")


@EXAMPLES
@given(data=st.data())
def test_refusals_are_explained(session: Session, data: st.DataObject) -> None:
    """`explain` returns problems for any refusal of ComfyUI."""
    answer = data.draw(st.sampled_from([one for one in session.answers["/prompt"] if one["node_errors"]]))
    changed = swapped(answer, data.draw(st.sampled_from(list(places(answer)))), data.draw(VALUES))
    with suppress(UnexpectedShape):
        if refusal := read_submission(400, changed):
            explain(refusal.error, refusal.node_errors, picture(), Catalog.bundled())


@EXAMPLES
@given(data=st.data())
def test_a_catalog_of_another_shape(session: Session, data: st.DataObject) -> None:
    """A workflow can be checked by a catalog in which a class is malformed."""
    classes = session.answers["/object_info"][0]
    changed = swapped(
        classes, data.draw(st.sampled_from([p for p in places(classes) if len(p) > 1])), data.draw(VALUES)
    )
    catalog = Catalog.bundled().with_classes({name: dict(info) for name, info in changed.items()})
    validate(picture(), catalog)

"""A node may report any JSON without failing its job or hiding other results."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.engine.supervised import Supervised, supervised
from tests.outputs.test_results import node, with_image
from worker.engine.protocol.messages import Executed, parse_json, parse_text
from worker.outputs.reports import ReportedText, ReportedValue, named_paths, node_outputs


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervised]:
    """Yield a client of a worker with its own engine."""
    async with supervised(tmp_path_factory.mktemp("own")) as found:
        yield found


REPORTS = {
    "half a surrogate pair": '{"text": ["\\ud800"], "tags": ["\\ud800 x"], "a\\ud800": [1]}',
    "half a pair in a name": '{"images": [{"filename": "a\\ud800.png", "subfolder": "\\ud800"}]}',
    "half a pair in a folder": '{"images": [{"filename": "a.png", "type": "\\ud800"}]}',
    "half a pair in a value": '{"value": [{"\\ud800": "\\ud800"}]}',
    "deep": '{"value": [' + "[" * 300 + "]" * 300 + "]}",
    "large numbers": '{"value": [NaN, Infinity, 1180591620717411303424]}',
    "null byte in a name": '{"images": [{"filename": "a\\u0000b.png"}]}',
    "null byte in a subfolder": '{"images": [{"filename": "a.png", "subfolder": "\\u0000"}]}',
    "null byte in an input": '{"images": [{"filename": "a\\u0000.png", "type": "input"}]}',
    "long name": '{"images": [{"filename": "%s.png"}]}' % ("x" * 5000),
    "long subfolder": '{"images": [{"filename": "a.png", "subfolder": "%s"}]}' % ("d/" * 3000),
    "absolute": '{"images": [{"filename": "/etc/passwd"}, {"filename": "..\\\\..\\\\x.png"}]}',
    "not texts": '{"images": [{"filename": "a.png", "subfolder": {"a": 1}, "type": ["x"]}, null, 1, [], {}]}',
    "odd paths": '{"paths": ["a\\u0000.png", "\\ud800.png", "%s.png", "/etc/passwd.png", "../../x.png"]}'
    % ("x" * 3000),
    "thousands": json.dumps(
        {"x": [{"filename": f"f{number}.png"} for number in range(2000)] + [f"g{number}.png" for number in range(2000)]}
    ),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("reported", REPORTS.values(), ids=REPORTS)
async def test_no_report_hides_other_results(client: Supervised, reported: str) -> None:
    """An odd report never causes an error of the worker, and other nodes' outputs are delivered."""
    odd, saver = node("EmbeddedReport", json=reported), node("SaveImage", images=["1", 0], filename_prefix="good")
    status, body = await client.post("/generate/sync", {"workflow": with_image(odd, saver)})
    assert status == 200, body
    assert [item["kind"] for item in body["outputs"] if item["node_id"] == "6"] == ["image"]
    status, body = await client.post("/generate/sync", {"workflow": with_image(odd)})
    assert status == 200 or body["error"]["code"] == "output_missing", body


def test_python_json_is_read() -> None:
    """Numbers that are not valid JSON, and lone surrogates, are read in frames and in the history."""
    frame = parse_text(
        '{"type": "executed", "data": {"node": "1", "prompt_id": "p", "output": {"a": [NaN], "text": ["\\ud800"]}}}'
    )
    assert isinstance(frame, Executed)
    assert frame.output["text"] == ["?"]
    assert str(frame.output["a"][0]) == "nan"
    assert parse_json(b'{"text": "\\ud83d\\ude00", "number": Infinity}') == {
        "text": "\N{GRINNING FACE}",
        "number": float("inf"),
    }


def test_a_frame_that_is_too_deep_is_skipped() -> None:
    """A frame that is nested too deeply is skipped without closing the connection."""
    assert parse_text('{"type": "executed", "data": ' + "[" * 100_000 + "]" * 100_000 + "}") is None


def test_values_of_any_size_are_returned() -> None:
    """node_outputs returns large integers, and skips values that are nested too deeply."""
    deep: object = "a.png"
    for _ in range(2000):
        deep = [deep]
    found = [item.item for item in node_outputs("1", {"value": [2**70, {"a": 2**70}], "deep": [deep]})]
    assert found == [ReportedValue(str(2**70), 0), ReportedValue(f'{{"a": {2**70}}}', 1)]
    assert list(named_paths({"deep": [deep]})) == []
    assert [item.item for item in node_outputs("1", {"text": ["a\0"]})] == [ReportedText("a\0")]

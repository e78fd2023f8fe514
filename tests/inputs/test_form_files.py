"""Files of a form, named by the part or by its filename."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import Client, shared_client
from tests.inputs.files import loading, png
from tests.workflow.prompts import node
from worker.errors import InvalidInputFile
from worker.inputs import SentFile
from worker.inputs.form_files import with_filenames
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client
CATALOG = Catalog.bundled()
Part = tuple[str, str, bytes]


async def sent(client: Client, route: str, workflow: Any, parts: list[Part], **fields: str) -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("workflow", json.dumps(workflow), filename="wf.json", content_type="application/json")
    for name, filename, data in parts:
        form.add_field(name, data, filename=filename, content_type="image/png")
    for name, text in fields.items():
        form.add_field(name, text)
    async with client.http.post(client.app.url + route, data=form) as response:
        return response.status, await response.json()


def width(body: dict[str, Any]) -> int:
    return int.from_bytes(base64.b64decode(body["outputs"][0]["data"])[16:20])


NAMED = {
    "the part": (loading("image"), [("image", "a.png", png(41))], 41),
    "the file": (loading("a.png"), [("image", "a.png", png(42))], 42),
    "the file, with a folder of the client's": (loading("a.png"), [("data", "pics/a.png", png(43))], 43),
    "the file, with a blank that its client encodes": (loading("my a.png"), [("data", "my a.png", png(53))], 53),
    "the part, with a blank that its client encodes": (loading("my a.png"), [("my a.png", "x", png(54))], 54),
    "the file, by a path": (loading("C:\\pics\\a.png"), [("file", "a.png", png(44))], 44),
    "the file, with an annotation": (loading("a.png [input]"), [("file", "a.png", png(45))], 45),
    "the part, though the file has another's name": (
        loading("a.png"),
        [("a.png", "b.png", png(46)), ("image", "a.png", png(47))],
        46,
    ),
    "the file of one part": (loading("b.png"), [("image1", "a.png", png(48)), ("image2", "b.png", png(49))], 49),
    "the file of one of several parts of a name": (
        loading("b.png"),
        [("f", "a.png", png(50)), ("f", "b.png", png(51))],
        51,
    ),
}


@pytest.mark.parametrize("case", NAMED)
async def test_a_node_names_the_part_or_the_file(client: Client, case: str) -> None:
    """A file of a form is found by the name of its part, or by its filename."""
    workflow, parts, expected = NAMED[case]
    status, body = await sent(client, "/generate/sync", workflow, parts)
    assert (status, status == 200 and width(body)) == (200, expected), body
    status, body = await sent(client, "/validate?strict=true", workflow, parts)
    assert (status, body["valid"]) == (200, True), body


def files(*names: tuple[str, str]) -> list[SentFile]:
    return [SentFile(name, b"data", (filename,)) for name, filename in names]


async def test_two_parts_with_one_filename_are_refused_if_a_node_names_it() -> None:
    """with_filenames refuses two parts with one filename only if a node names it."""
    prompt: Prompt = {"1": node("LoadImage", image="blob.png")}
    parts = files(("one", "blob.png"), ("two", "blob.png"))
    with pytest.raises(InvalidInputFile, match="two parts"):
        with_filenames(parts, (), prompt, CATALOG)
    renamed = with_filenames(parts, (), {"1": node("LoadImage", image="one")}, CATALOG)
    assert [file.name for file in renamed] == ["one", "two"]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ({"1": node("LoadImage", image="a.png", upload="image")}, "a.png"),
        ({"1": node("CLIPTextEncode", text="a.png"), "2": node("LoadImage", image="b.png")}, "image"),
        ({"1": node("Unknown Class", anything="a.png")}, "a.png"),
        ({"1": node("Unknown Class", anything="image", other="a.png")}, "image"),
        ({"1": node("LoadImage", image="other/a.png")}, "a.png"),
    ],
)
async def test_only_file_inputs_name_a_file(prompt: Prompt, name: str) -> None:
    """with_filenames ignores names in text inputs of known classes."""
    [renamed] = with_filenames(files(("image", "a.png")), (), prompt, CATALOG)
    assert renamed.name == name


async def test_a_file_of_the_request_keeps_its_name(client: Client) -> None:
    """A file in `inputs` takes precedence over a part with the same filename."""
    [renamed] = with_filenames(files(("image", "a.png")), {"a.png"}, {"1": node("LoadImage", image="a.png")}, CATALOG)
    assert renamed.name == "image"
    inputs = json.dumps({"a.png": base64.b64encode(png(61)).decode()})
    status, body = await sent(client, "/generate/sync", loading("a.png"), [("image", "a.png", png(62))], inputs=inputs)
    assert (status, status == 200 and width(body)) == (200, 61), body
    assert "no node uses it" in body["warnings"][0]["message"]


async def test_parts_without_a_filename_are_fields(client: Client) -> None:
    """Parts without a filename, as `curl -F output_format=url` sends them, are fields of the request."""
    parts = [("image", "a.png", png())]
    status, body = await sent(
        client, "/generate/sync", loading("a.png"), parts, output_format="url", timeout_s="50", strict="true", id="f-1"
    )
    assert (status, body["id"], "warnings" in body) == (200, "f-1", False), body
    assert "/outputs/" in body["image"]
    status, body = await sent(client, "/generate/sync", loading("a.png"), parts, output_format="pdf")
    assert (status, body["error"]["code"]) == (400, "invalid_field")
    status, body = await sent(client, "/validate", loading("a.png"), parts, strict="true")
    assert (status, body["valid"]) == (200, True)


async def test_validate_warns_of_files_that_no_node_uses(client: Client) -> None:
    """`POST /validate` warns about unused files in each dialect and in a form."""
    picture = base64.b64encode(png()).decode()
    workflow = loading("a.png")
    bodies: list[dict[str, Any]] = [
        {"workflow": workflow, "inputs": {"a.png": picture, "b.png": picture}},
        {"prompt": workflow, "inputs": {"a.png": picture, "b.png": picture}},
        {"input": {"workflow": workflow, "images": [{"name": name, "image": picture} for name in ("a.png", "b.png")]}},
    ]
    for body in bodies:
        status, response = await client.post("/validate", body)
        assert status == 200, response
        [warning] = response["warnings"]
        assert "'b.png', and no node uses it" in warning["message"]
    status, response = await sent(client, "/validate", workflow, [("image", "a.png", png()), ("more", "b.png", png())])
    assert [warning["message"].split(",")[0] for warning in response["warnings"]] == [
        "The request contains the file 'more'"
    ]

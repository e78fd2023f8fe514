"""A file that came with a request and that no node names is a warning."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conftest import Client, shared_client
from tests.inputs.files import loading, png
from tests.workflow.prompts import empty, link, node, saved
from worker.inputs.unused import unused_files
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client
CATALOG = Catalog.bundled()
PICTURE = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    ("name", "text", "used"),
    [
        ("a.png", "a.png", True),
        ("a.png", "a.png [input]", True),
        ("sub/a.png", "a.png", True),
        ("a.png", "C:\\pics\\A.PNG", True),
        ("frames/1.png", "frames", True),
        ("caf\u00e9.png", "cafe\u0301.png", True),
        ("a.png", "compare a.png, b.png", True),
        ("a.png", "my_a.png", False),
        ("a.png", "a.png.jpg", False),
        ("a.png", "b.png", False),
        ("a.png", "", False),
    ],
)
async def test_any_mention_is_a_use(name: str, text: str, used: bool) -> None:
    """Also in a class that nobody knows, and in any spelling of the name; a part of another name is none."""
    prompt: Prompt = {"1": node("Unknown Class", anything={"__value__": [text]})}
    assert (list(unused_files({name}, prompt, CATALOG)) == []) is used


async def test_the_warning_names_what_nodes_use(client: Client) -> None:
    """In the answer of a job that runs; with the name that was probably meant."""
    workflow = loading("portrait.png")
    files = {"portrait.png": PICTURE, "portrate.png": PICTURE}
    status, body = await client.post("/generate/sync", {"workflow": workflow, "inputs": files})
    assert status == 200, body
    [warning] = body["warnings"]
    assert warning["message"] == (
        "The request contains the file 'portrate.png', and no node uses it."
        " The nodes name 'portrait.png' (node 1, image)."
    )
    assert warning["suggestion"] == "Did you mean 'portrait.png'?"


async def test_where_no_node_names_a_file_that_is_said(client: Client) -> None:
    """In the shape of RunPod, too; what is used is no warning."""
    workflow: dict[str, Any] = {"1": empty(), "2": saved("1")}
    body: dict[str, Any] = {"input": {"workflow": workflow, "images": [{"name": "x.png", "image": PICTURE}]}}
    status, answer = await client.post("/generate/sync", body)
    assert (status, "No node names a file" in str(answer)) == (200, True), answer
    body["input"]["workflow"] = {"1": node("LoadImage", image="x.png"), "2": node("SaveImage", images=link("1"))}
    body["input"]["workflow"]["2"]["inputs"]["filename_prefix"] = "x"
    status, answer = await client.post("/generate/sync", body)
    assert (status, "No node" in str(answer)) == (200, False)


async def test_thousands_of_files_and_of_texts() -> None:
    """It takes no time, and the answer does not list them all."""
    prompt: Prompt = {
        str(number): node("Unknown", text=f"see {number}.png, a {number}.png") for number in range(20_000)
    }
    own = {*(f"d/{number}.png" for number in range(5000)), *(f"no{number}.png" for number in range(5000))}
    warnings = [warning.message for warning in unused_files(own, prompt, CATALOG)]
    assert len(warnings) == 21
    assert warnings[0].startswith("The request contains the file 'no0.png'")
    assert warnings[-1] == "The request contains 4980 more files that no node uses."
    assert list(unused_files({f"a {number}.png" for number in range(5000)}, prompt, CATALOG)) == []

"""Warnings for files of a request that no node uses."""

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
    """unused_files gives no warning for a file that any text mentions, in any spelling."""
    prompt: Prompt = {"1": node("Unknown Class", anything={"__value__": [text]})}
    assert (list(unused_files({name}, prompt, CATALOG)) == []) is used


async def test_the_warning_names_what_nodes_use(client: Client) -> None:
    """The warning in the response lists the files that nodes name, and a similar name."""
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


async def test_the_warning_says_that_no_node_names_a_file(client: Client) -> None:
    """The warning says that no node names a file, also in the runpod dialect."""
    workflow: dict[str, Any] = {"1": empty(), "2": saved("1")}
    body: dict[str, Any] = {"input": {"workflow": workflow, "images": [{"name": "x.png", "image": PICTURE}]}}
    status, response = await client.post("/generate/sync", body)
    assert (status, "No node names a file" in str(response)) == (200, True), response
    body["input"]["workflow"] = {"1": node("LoadImage", image="x.png"), "2": node("SaveImage", images=link("1"))}
    body["input"]["workflow"]["2"]["inputs"]["filename_prefix"] = "x"
    status, response = await client.post("/generate/sync", body)
    assert (status, "No node" in str(response)) == (200, False)


async def test_thousands_of_files_and_of_texts() -> None:
    """unused_files is fast for thousands of files and texts, and limits the number of warnings."""
    prompt: Prompt = {
        str(number): node("Unknown", text=f"see {number}.png, a {number}.png") for number in range(20_000)
    }
    own = {*(f"d/{number}.png" for number in range(5000)), *(f"no{number}.png" for number in range(5000))}
    warnings = [warning.message for warning in unused_files(own, prompt, CATALOG)]
    assert len(warnings) == 21
    assert warnings[0].startswith("The request contains the file 'no0.png'")
    assert warnings[-1] == "The request contains 4980 more files that no node uses."
    assert list(unused_files({f"a {number}.png" for number in range(5000)}, prompt, CATALOG)) == []

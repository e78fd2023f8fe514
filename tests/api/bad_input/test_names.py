"""Names at the limits of a file system, in bytes, with letters of one to four bytes."""

from __future__ import annotations

import pytest

from tests.api.bad_input.bodies import PIXEL, with_file
from tests.conftest import Client, shared_client
from tests.workflows import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

LETTERS = {"ascii": "a", "two bytes": "é", "CJK": "画", "emoji": "😀", "combining": "e\u0301", "Arabic digit": "٣"}
COUNTED = len("_00001_.png")
"""Bytes that ComfyUI puts behind a prefix."""
LONGEST = 255


def of_bytes(letter: str, size: int) -> str:
    """Return a text of this size in UTF-8 that repeats a letter, filled up with ASCII."""
    text = letter * (size // len(letter.encode()))
    return text + "b" * (size - len(text.encode()))


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
@pytest.mark.parametrize("wish", [{}, {"output": {"format": "webp"}}, {"output_format": "url"}], ids=str)
async def test_what_comfyui_could_write_is_delivered(client: Client, letter: str, wish: dict) -> None:
    """A filename prefix that leaves space for ComfyUI's counter is delivered."""
    for size in range(232, 262):
        prefix = of_bytes(letter, size)
        status, answer = await client.post("/generate/sync", {"workflow": picture(prefix=prefix), **wish})
        if size + COUNTED <= LONGEST:
            assert (status, len(answer["outputs"])) == (200, 1), (size, answer)
            if url := answer["outputs"][0].get("url"):
                async with client.http.get(url) as file:
                    assert (file.status, (await file.read())[:4]) == (200, b"\x89PNG")
        else:
            assert (status, answer["error"]["fault"]) == (422, "job"), (size, answer)


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
async def test_names_of_inputs(client: Client, letter: str) -> None:
    """A name of an input is accepted or rejected by its length, and never causes a disk error."""
    for size in range(190, 262, 3):
        name = of_bytes(letter, size) + ".png"
        workflow = with_file()
        workflow["1"]["inputs"]["image"] = name
        body = {"workflow": workflow, "inputs": {name: PIXEL}}
        for more in ({}, {"id": f"{ord(letter[-1])}-{size}"}):
            status, answer = await client.post("/generate/sync", {**body, **more})
            assert status == 200 or answer["error"]["code"] == "invalid_input_file", (size, answer)
        status, answer = await client.post("/generate/sync", {**body, "inputs": {f"a/{name}/b.png": PIXEL}})
        assert status in {200, 400, 422}, (size, answer)


@pytest.mark.parametrize(
    "letter", [*LETTERS.values(), "\0", "\n", "/", " "], ids=[*LETTERS, "NUL", "LF", "slash", "space"]
)
async def test_ids(client: Client, letter: str) -> None:
    """An id of any length in any script is accepted or rejected in every dialect, and its job can be read."""
    for size in (1, 36, 127, 128, 129, 240, 256, 5_000):
        name = of_bytes(letter, size)
        plain = picture(color=5)
        for body in (
            {"workflow": plain, "id": name},
            {"prompt": plain, "prompt_id": name},
            {"input": {"workflow_json": plain, "request_id": name}},
        ):
            status, answer = await client.post("/generate/sync", body)
            assert status in {200, 400, 409}, (name, answer)
            if status == 200 and "error" not in answer:
                again = await client.post("/generate/sync", body)
                assert again[0] == 200, again


async def test_node_ids(client: Client) -> None:
    """A job with any node ids can be read in every dialect."""
    plain = picture(color=6)
    odd = (
        "²",
        "٣",
        "१",
        "９",
        "9" * 25,
        "9" * 5_000,
        "画" * 90,
        "😀" * 300,
        "",
        " ",
        "1:²:3",
        "-1",
        "1e5",
        "\0",
        "a\nb",
    )
    for node_id in odd:
        workflow = {"1": plain["1"], node_id: plain["2"]}
        for body in (
            {"workflow": workflow},
            {"workflow": workflow, "id": f"node-{odd.index(node_id)}", "output_format": "url"},
            {"input": {"workflow_json": workflow}},
            {"input": {"workflow": workflow}},
        ):
            status, answer = await client.post("/generate/sync", body)
            assert status == 200, (node_id, answer)
        for reader in ("EmptyImage", "²"):
            linked = {
                node_id: plain["1"],
                "x": {**plain["2"], "inputs": {"images": [node_id, 0], "filename_prefix": reader}},
            }
            assert (await client.post("/generate/sync", {"workflow": linked}))[0] in {200, 422}


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
async def test_other_names(client: Client, letter: str) -> None:
    """Prefixes of buckets, webhooks, templates and headers of any length get a response below 500."""
    for size in (100, 240, 255, 256, 1_000, 4_097):
        name = of_bytes(letter, size)
        s3 = {"bucket": name, "access_key_id": name, "secret_access_key": name, "prefix": name}
        for body in (
            {"workflow": picture(), "output_format": "url", "s3": {**s3, "endpoint_url": f"https://{name}.example"}},
            {"workflow": picture(), "webhook": {"url": f"https://127.0.0.1/{name}"}},
            {"workflow": picture(), "webhook": {"url": f"https://127.0.0.1:{name}/"}},
            {"workflow": picture(), "put_urls": [f"https://{name}.example/{name}"]},
            {"template": name},
            {"template": "smoke-resize", "params": {name: name}},
            {"workflow": with_file(), "inputs": {"pixel.png": f"https://{name}.example/{name}"}},
        ):
            status, answer = await client.post("/generate/sync", body)
            assert 400 <= status < 500, (body, answer)

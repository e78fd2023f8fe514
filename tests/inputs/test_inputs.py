"""Files of a request through the gateway: by URL, in the workflow, and by name."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle
from tests.fetch.origin import Origin, content, opened, redirect, serving
from tests.inputs.files import BOMBS, loading, png
from tests.workflows import Workflow, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sizes(body: dict[str, Any]) -> list[tuple[int, int]]:
    return [(output["width"], output["height"]) for output in body["outputs"]]


@asynccontextmanager
async def worker_and_origin(
    engine: EngineHandle, state: Path, *, shared: bool = True, **given: object
) -> AsyncIterator[tuple[Client, Origin]]:
    """Yield a client of a worker, and a server with `/cat.png` that the worker may fetch from."""
    folders = {} if shared else {"comfyui_output": None, "comfyui_input": None}
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(**{"cat.png": content(png())}))
        settings = {"fetch_allow": opened(origin), **folders, **given}
        yield await stack.enter_async_context(worker(engine, state, **settings)), origin


async def error_of(client: Client, workflow: Workflow, **more: object) -> tuple[int, str, dict[str, Any]]:
    status, body = await client.post("/generate/sync", {"workflow": workflow, **more})
    assert body["status"] == "error", body
    return status, body["error"]["code"], body["error"]


@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_a_url_by_name_and_in_place(engine: EngineHandle, tmp_path: Path, shared: bool) -> None:
    """A URL in `inputs`, or in place of a file name, is fetched and opened by ComfyUI."""
    workflow = loading("photo") | {f"1{node}": value for node, value in loading("").items()}
    workflow["12"]["inputs"]["images"] = ["11", 0]
    async with worker_and_origin(engine, tmp_path, shared=shared) as (client, origin):
        workflow["11"]["inputs"]["image"] = origin.url("/cat.png?in=place")
        request = {"workflow": workflow, "inputs": {"photo": origin.url("/cat.png")}}
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        assert sizes(body) == [(40, 30), (40, 30)]
        assert sorted(request.path_qs for request in origin.requests) == ["/cat.png", "/cat.png?in=place"]


async def test_runpod_images_by_url(engine: EngineHandle, tmp_path: Path) -> None:
    """The runpod dialect accepts URLs in `images`."""
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        image = {"name": "a.png", "image": origin.url("/cat.png")}
        status, body = await client.post("/generate/sync", {"input": {"workflow": loading("a.png"), "images": [image]}})
        assert status == 200, body


async def test_a_url_in_a_text_stays_text(engine: EngineHandle, tmp_path: Path) -> None:
    """A URL in a text input is not fetched."""
    workflow = picture()
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        text = origin.url("/cat.png")
        workflow["3"] = {"class_type": "PrimitiveString", "inputs": {"value": text}}
        workflow["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}
        status, body = await client.post("/generate/sync", {"workflow": workflow})
        assert status == 200, body
        assert [output["text"] for output in body["outputs"] if output["kind"] == "text"] == [text]
        assert origin.requests == []


async def test_a_name_as_the_editor_saved_it(engine: EngineHandle, tmp_path: Path) -> None:
    """`clipspace/x.png [input]` and a path of the author's machine mean the file with the plain name."""
    async with worker(engine, tmp_path) as client:
        for text in ("clipspace/x.png [input]", "C:\\Users\\me\\x.png", "/home/me/x.png"):
            request = {"workflow": loading(text), "inputs": {"x.png": base64_of(png())}}
            status, body = await client.post("/generate/sync", request)
            assert status == 200, body


async def test_links_are_not_names(engine: EngineHandle, tmp_path: Path) -> None:
    """A file with the name of a node does not change links to that node."""
    async with worker(engine, tmp_path) as client:
        request = {"workflow": loading("1"), "inputs": {"1": base64_of(png())}}
        status, body = await client.post("/generate/sync", request)
    assert (status, sizes(body)) == (200, [(40, 30)])


async def test_fetched_files_are_released_and_removed(engine: EngineHandle, tmp_path: Path) -> None:
    """After the job the file is not in ComfyUI's folder, and the cache may evict its copy."""
    before = set(engine.input.iterdir())
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        request = {"workflow": loading("a"), "inputs": {"a": origin.url("/cat.png"), "b": origin.url("/cat.png?2")}}
        assert (await client.post("/generate/sync", request))[0] == 200
        await client.app.manager.close()
    assert set(engine.input.iterdir()) == before
    assert [path.stat().st_nlink for path in (tmp_path / "fetched" / "contents").iterdir()] == [1]


REFUSED_URLS = [
    "http://169.254.169.254/latest/",
    "http://[::ffff:127.0.0.1]/",
    "http://10.0.0.1/",
    "file:///etc/passwd",
]


async def test_files_of_ended_jobs_are_evicted(engine: EngineHandle, tmp_path: Path) -> None:
    """Two jobs whose files do not fit together run one after the other. A job that needs both files fails."""
    async with worker_and_origin(engine, tmp_path, fetch_cache=1) as (client, origin):
        for name in ("a", "b"):
            noise = Image.frombytes("RGB", (500, 500), random.Random(name).randbytes(750_000))
            buffer = io.BytesIO()
            noise.save(buffer, "PNG")
            origin.answers[f"/{name}"] = content(buffer.getvalue())
            status, body = await client.post("/generate/sync", {"workflow": loading(origin.url(f"/{name}"))})
            assert status == 200, body
        inputs = {name: origin.url(f"/{name}") for name in ("a", "b")}
        status, code, _ = await error_of(client, loading("a"), inputs=inputs)
        assert (status, code) == (503, "cache_full")


@pytest.mark.parametrize("url", [*REFUSED_URLS, "http://localhost:22/"])
@pytest.mark.parametrize("in_place", [True, False])
async def test_refused_urls_name_the_input(client: Client, url: str, in_place: bool) -> None:
    """The error for a refused URL names the input and a suggestion."""
    request: dict[str, Any] = {} if in_place else {"inputs": {"photo.png": url}}
    status, code, error = await error_of(client, loading(url if in_place else "photo.png"), **request)
    assert (status, code) == (400, "url_refused")
    assert ("of node 1 (LoadImage)" if in_place else "'photo.png'") in error["message"]
    assert error["details"][0]["suggestion"]


async def test_a_redirect_into_the_network_is_refused(engine: EngineHandle, tmp_path: Path) -> None:
    """A redirect to an internal address is refused, and the response does not contain the address."""
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        origin.answers["/evil.png"] = redirect("http://169.254.169.254/secret")
        status, code, error = await error_of(client, loading(origin.url("/evil.png")))
    assert (status, code) == (400, "url_refused")
    assert "secret" not in str(error)


async def test_failed_downloads_are_client_errors(engine: EngineHandle, tmp_path: Path) -> None:
    """A 404 of the origin is 422 `fetch_failed`, and the error does not contain the query of the URL."""
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        url = origin.url("/nothing.png?signature=s3cr3t")
        status, code, error = await error_of(client, loading("a.png"), inputs={"a.png": url})
    assert (status, code, error["retryable_elsewhere"]) == (422, "fetch_failed", True)
    assert "'a.png'" in error["message"]
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize("value", ["../outside.png", "other.png", "result.png [output]", {"__value__": "/etc/passwd"}])
async def test_a_workflow_names_only_its_own_files(client: Client, engine: EngineHandle, value: object) -> None:
    """A workflow that names existing files of others is refused before ComfyUI gets it."""
    others = (engine.input / "other.png", engine.output / "result.png", engine.base / "outside.png")
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png())
    status, code, error = await error_of(client, loading(value))
    for path in others:
        path.unlink()
    assert (status, code) == (422, "file_not_allowed")
    assert error["details"][0]["node_title"] == "Photo"


@pytest.mark.parametrize("value", ["shelf/a.png", "shelf/a.png [input]", "shelf/deep/a.png"])
async def test_an_open_folder_may_be_named(engine: EngineHandle, tmp_path: Path, value: str) -> None:
    """A workflow may name files in an opened folder and in folders inside it."""
    for path in (engine.input / "shelf" / "a.png", engine.input / "shelf" / "deep" / "a.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    async with worker(engine, tmp_path, input_folders="input/shelf") as client:
        status, body = await client.post("/generate/sync", {"workflow": loading(value)})
        assert (status, sizes(body)) == (200, [(40, 30)])
        assert (await error_of(client, loading("beside.png")))[1] == "file_not_allowed"
        assert (await error_of(client, loading("shelf2/a.png")))[1] == "file_not_allowed"
        assert (await error_of(client, loading("shelf/a.png [output]")))[1] == "file_not_allowed"


async def test_a_link_out_of_an_open_folder_is_not_followed(engine: EngineHandle, tmp_path: Path) -> None:
    """A symbolic link in an opened folder counts as its target, for files and folders."""
    shelf = engine.input / "linked"
    shelf.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    (shelf / "a.png").symlink_to(tmp_path / "secret.png")
    (shelf / "folder").symlink_to(tmp_path)
    (shelf / "own.png").write_bytes(png())
    (shelf / "inside.png").symlink_to(shelf / "own.png")
    async with worker(engine, tmp_path / "state", input_folders="input/linked") as client:
        for name in ("linked/a.png", "linked/folder/secret.png"):
            assert (await error_of(client, loading(name)))[1] == "file_not_allowed"
        assert (await client.post("/generate/sync", {"workflow": loading("linked/inside.png")}))[0] == 200


@pytest.mark.parametrize(
    "name", ["../x.png", "a//b.png", "..", ".", "", "x\x00.png", "a\\..\\b.png", "/etc/passwd", "n" * 201]
)
async def test_names_of_fetched_files_are_checked(client: Client, name: str) -> None:
    """Names of files to fetch follow the same rules as names of sent files."""
    status, code, _ = await error_of(client, picture(), inputs={name: "https://example.com/a.png"})
    assert (status, code) == (400, "invalid_input_file")


async def test_a_path_input_gets_the_path_of_the_file(engine: EngineHandle, tmp_path: Path) -> None:
    """A path input gets the path of the job's file. Without access to the input folder it is refused."""
    workflow = picture() | {"9": loading("clip.mp4", "VHS_LoadVideoPath", "video")["1"]}
    files = {"clip.mp4": base64_of(b"\0\0\0\x18ftypmp42")}
    async with worker(engine, tmp_path / "shared") as client:
        status, body = await client.post("/generate/sync", {"workflow": workflow, "inputs": files})
        assert status == 200, body
        async with client.http.get(f"{engine.url}/history?max_items=1") as response:
            [entry] = (await response.json()).values()
        path = Path(entry["prompt"][2]["9"]["inputs"]["video"])
        assert (path.parent.parent, path.name) == (engine.input, "clip.mp4")
    async with worker(engine, tmp_path, comfyui_input=None) as client:
        _, code, error = await error_of(client, workflow, inputs=files)
    assert (code, "accepts uploads" in error["details"][0]["suggestion"]) == ("file_not_allowed", True)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("form", ["base64", "data URI", "URL"])
async def test_image_bombs_never_reach_comfyui(engine: EngineHandle, tmp_path: Path, bomb: bytes, form: str) -> None:
    """An image that decodes to gigabytes is refused by its header, however it was sent."""
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        origin.answers["/bomb.png"] = content(bomb)
        given = {"base64": base64_of(bomb), "URL": origin.url("/bomb.png"), "data URI": ""}[form]
        value = f"data:image/png;base64,{base64_of(bomb)}" if form == "data URI" else "a.png"
        inputs = {"inputs": {"a.png": given}} if given else {}
        status, code, error = await error_of(client, loading(value), **inputs)
    assert (status, code) == (400, "invalid_input_file")
    assert "million pixels" in error["message"]


async def test_the_operator_sets_the_limit_of_images(engine: EngineHandle, tmp_path: Path) -> None:
    """An image just below WORKER_MAX_MEGAPIXELS passes, and one just above is refused."""
    async with worker(engine, tmp_path, max_megapixels=0.01) as client:
        for side, status in ((100, 200), (101, 400)):
            request = {"workflow": loading("a.png"), "inputs": {"a.png": base64_of(png(side, 100))}}
            assert (await client.post("/generate/sync", request))[0] == status


async def test_an_error_page_is_not_an_image(engine: EngineHandle, tmp_path: Path) -> None:
    """An error page for an image input is refused with an error that names the input."""
    async with worker_and_origin(engine, tmp_path) as (client, origin):
        origin.answers["/page"] = content(b"<html>please log in</html>")
        status, code, error = await error_of(client, loading(origin.url("/page")))
    assert (status, code) == (400, "invalid_input_file")
    assert "'image' of node 1 (LoadImage): the node needs an image" in error["message"]

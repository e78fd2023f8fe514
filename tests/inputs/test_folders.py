"""Files in folders: two of one name, and the files of a folder that a node takes whole."""

from __future__ import annotations

import asyncio
import base64
import unicodedata
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.inputs.files import png
from tests.workflows import Workflow, picture, slow

FRAMES = {f"frames/{number:04}.png": png(10 + number, 8) for number in (2, 10, 1)}


def base64_of(files: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(data).decode() for name, data in files.items()}


def loads(*names: str) -> Workflow:
    """A workflow that saves each of these files by a node of its own, in their order."""
    workflow: Workflow = {}
    for number, name in enumerate(names):
        workflow[f"{number}"] = {"class_type": "LoadImage", "inputs": {"image": name}}
        inputs = {"images": [f"{number}", 0], "filename_prefix": f"f{number}"}
        workflow[f"{number + 100}"] = {"class_type": "SaveImage", "inputs": inputs}
    return workflow


def takes(folder: str, class_type: str = "VHS_LoadImages", name: str = "directory") -> Workflow:
    return picture() | {"9": {"class_type": class_type, "inputs": {name: folder}}}


def widths(body: dict[str, Any]) -> list[int]:
    return [output["width"] for output in body["outputs"]]


async def ran(engine: EngineHandle, node: str, name: str) -> str:
    """What ComfyUI got for an input in its newest prompt."""
    async with aiohttp.ClientSession() as http, http.get(f"{engine.url}/history?max_items=1") as answer:
        [entry] = (await answer.json()).values()
    return str(entry["prompt"][2][node]["inputs"][name])


async def test_one_file_is_not_taken_for_two(engine: EngineHandle, tmp_path: Path) -> None:
    """Two nodes name files of one name in different folders: a single one of them is refused, not used for both."""
    async with worker(engine, tmp_path) as client:
        sent = {"inputs": base64_of({"face.png": png(11)})}
        workflow = loads("a/face.png", "C:\\me\\b\\face.png")
        status, body = await client.post("/generate/sync", {"workflow": workflow, **sent})
        assert (status, body["error"]["code"]) == (422, "file_not_allowed"), body
        assert "only one file for both" in body["error"]["message"]
        workflow = loads("b/face.png", "C:\\me\\b\\face.png", "face.png")
        status, body = await client.post("/generate/sync", {"workflow": workflow, **sent})
        assert (status, widths(body)) == (200, [11, 11, 11]), body


NAMES = [
    (["a/face.png", "b/face.png"], ["a/face.png", "b/face.png"]),
    (["a/face.png", "b/face.png"], ["a\\face.png", "C:\\Users\\me\\b\\face.png"]),
    (["a\\face.png", "b\\face.png"], ["a/face.png [input]", "b\\face.png"]),
    (["face.png", "deep/er/face.png"], ["face.png", "deep/er/face.png"]),
    (["Face.png", "face.png"], ["Face.png", "face.png"]),
    ([unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")],) * 2,
    (["face.png", "face.png [output]"], ["face.png", "face.png [output]"]),
    (["clipspace/clipspace-mask-1.png [input]", "x.png"], ["clipspace/clipspace-mask-1.png [input]", "x.png"]),
    (["clipspace/clipspace-mask-1.png", "x.png"], ["clipspace/clipspace-mask-1.png [input]", "x.png"]),
    (["clipspace-mask-1.png", "x.png"], ["clipspace/clipspace-mask-1.png [input]", "x.png"]),
]


@pytest.mark.parametrize(("sent", "named"), NAMES, ids=ascii)
@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_each_node_gets_its_own_of_two_files(
    engine: EngineHandle, tmp_path: Path, sent: list[str], named: list[str], shared: bool
) -> None:
    """By folder, case, Unicode form or annotation, wherever the workflow was made."""
    files = base64_of({sent[0]: png(41, 30), sent[1]: png(42, 30)})
    async with worker(engine, tmp_path, **{} if shared else {"comfyui_input": None}) as client:
        status, body = await client.post("/generate/sync", {"workflow": loads(*named), "inputs": files})
        assert (status, widths(body)) == (200, [41, 42]), body


async def test_a_name_that_may_mean_two_files_is_refused(client: Client) -> None:
    """The answer names both."""
    files = base64_of({"a/face.png": png(), "b/face.png": png()})
    status, body = await client.post("/generate/sync", {"workflow": loads("face.png"), "inputs": files})
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")
    assert "'a/face.png' or 'b/face.png'" in body["error"]["message"]


@pytest.mark.parametrize(
    "images",
    [
        [{"name": "a/face.png"}, {"name": "b/face.png"}],
        [{"name": "face.png", "subfolder": "a"}, {"name": "face.png", "subfolder": "b/"}],
    ],
)
async def test_in_the_runpod_dialect(client: Client, images: list[dict[str, str]]) -> None:
    """The folder stands in the name, or beside it as in ComfyUI's own upload."""
    for width, image in zip((41, 42), images, strict=True):
        image["image"] = base64.b64encode(png(width, 30)).decode()
    request = {"input": {"workflow": loads("a/face.png", "b\\face.png"), "images": images}}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    shown = [base64.b64decode(image["data"]) for image in body["images"]]
    assert [int.from_bytes(data[16:20]) for data in shown] == [41, 42]


async def test_files_of_a_form_lie_in_folders(client: Client) -> None:
    """Each part by its name."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("request", orjson.dumps({"workflow": loads("a/face.png", "b/face.png")}).decode())
    for width, name in ((41, "a/face.png"), (42, "b/face.png")):
        form.add_field(name, png(width, 30), filename="any.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
        body = await answer.json()
    assert (answer.status, widths(body)) == (200, [41, 42])


@pytest.mark.parametrize("prefix", ["", "film/frames/", "C:\\film\\"])
async def test_parts_of_one_name_are_a_folder(engine: EngineHandle, client: Client, prefix: str) -> None:
    """As browsers send a folder: by the files' own names, with the folders of the client's machine or without."""
    form = aiohttp.FormData(quote_fields=False)
    workflow = takes("frames") | loads("frames/2.png", "frames/1.png")
    form.add_field("request", orjson.dumps({"workflow": workflow}).decode())
    for number in (1, 2):
        form.add_field("frames", png(40 + number, 30), filename=f"{prefix}{number}.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
        body = await answer.json()
    assert (answer.status, widths(body)) == (200, [41, 42, 41]), body


@pytest.mark.parametrize("names", [("1.png", "1.png"), ("1.png", ".."), ("1.png", "")])
async def test_parts_that_make_no_folder_are_refused(client: Client, names: tuple[str, str]) -> None:
    """None of them takes the place of another one, or leaves the folder."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("request", orjson.dumps({"workflow": picture()}).decode())
    for name in names:
        form.add_field("frames", png(), filename=name)
    async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
        body = await answer.json()
    assert (answer.status, body["error"]["code"]) == (400, "invalid_input_file"), body


async def test_a_folder_goes_over_http(engine: EngineHandle, tmp_path: Path) -> None:
    """To a ComfyUI whose input folder the worker does not see."""
    async with worker(engine, tmp_path, comfyui_input=None) as client:
        request = {"workflow": takes("frames"), "inputs": base64_of(FRAMES)}
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        folder = engine.input / await ran(engine, "9", "directory")
        assert sorted(path.name for path in folder.iterdir()) == ["0001.png", "0002.png", "0010.png"]


@pytest.mark.parametrize("folder", ["frames", "frames/", "D:\\film\\frames", "frames [input]"])
async def test_a_folder_of_frames(engine: EngineHandle, client: Client, folder: str) -> None:
    """A node that takes a folder's name gets the job's own, with all files under their names; it goes with the job."""
    request = {"workflow": takes(folder), "inputs": base64_of(FRAMES)}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    job, _, name = (await ran(engine, "9", "directory")).partition("/")
    assert (job[:4], name) == ("job-", "frames")
    async with asyncio.timeout(10):
        while (engine.input / job).exists():  # it is removed behind the answer
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("class_type", ["LoadImageDataSetFromFolder", "LoadVideoTextDataSetFromFolder"])
async def test_a_folder_of_a_data_set(engine: EngineHandle, client: Client, class_type: str) -> None:
    """ComfyUI's own loaders of folders, one of two folders, and one inside another."""
    files = base64_of(FRAMES | {"other/frames/1.png": png()})
    for folder, name in (("frames", "frames"), ("other/frames", "other/frames"), ("other", "other")):
        request = {"workflow": takes(folder, class_type, "folder"), "inputs": files}
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        assert (await ran(engine, "9", "folder")).partition("/")[2] == name


async def test_a_node_that_wants_a_path_gets_the_folders_path(engine: EngineHandle, tmp_path: Path) -> None:
    """Where the worker shares ComfyUI's input folder; elsewhere it is refused with what to use."""
    request = {"workflow": takes("frames", "VHS_LoadImagesPath"), "inputs": base64_of(FRAMES)}
    async with worker(engine, tmp_path / "shared") as client:
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        path = Path(await ran(engine, "9", "directory"))
        assert (path.parent.parent, path.name) == (engine.input, "frames")
    async with worker(engine, tmp_path / "apart", comfyui_input=None) as client:
        status, body = await client.post("/generate/sync", request)
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")
    assert "VHS_LoadImages" in body["error"]["details"][0]["suggestion"]


@pytest.mark.parametrize("folder", ["frame", "frames/..", "../other", "/frames/../..", "3d", "."])
async def test_a_folder_that_is_not_the_requests_is_refused(client: Client, folder: str) -> None:
    """Only folders of files that were sent, and none outside of ComfyUI's."""
    request = {"workflow": takes(folder), "inputs": base64_of(FRAMES)}
    status, body = await client.post("/generate/sync", request)
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")


async def test_a_folders_name_elsewhere_stays_text(engine: EngineHandle, client: Client) -> None:
    """Only inputs that take folders mean one: not where files are written, and not in a prompt."""
    workflow = takes("frames") | {
        "7": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "frames"}},
        "8": {"class_type": "PrimitiveString", "inputs": {"value": "frames"}},
    }
    status, body = await client.post("/generate/sync", {"workflow": workflow, "inputs": base64_of(FRAMES)})
    assert status == 200, body
    assert (await ran(engine, "7", "filename_prefix"), await ran(engine, "8", "value")) == ("frames", "frames")


async def test_a_job_of_an_earlier_process_has_its_folders(engine: EngineHandle, tmp_path: Path) -> None:
    """The files of a waiting job lie in the state folder with their folders, and a restart finds them there."""
    files = base64_of({"a/face.png": png(41, 30), "b/face.png": png(42, 30)})
    request = {"workflow": loads("a/face.png", "b/face.png"), "inputs": files, "id": "kept"}
    async with worker(engine, tmp_path, queue_ahead=1) as client:
        assert (await client.post("/generate", {"workflow": slow(2.0, 20), "id": "first"}))[0] == 202
        status, job = await client.post("/generate", request)
        assert status == 202
    async with worker(engine, tmp_path) as client:
        async with client.http.get(f"{client.app.url}/jobs/kept/events", headers=bearer(job["token"])) as stream:
            await stream.read()
        status, body = await client.get("/jobs/kept", job["token"])
        assert (status, widths(body)) == (200, [41, 42]), body

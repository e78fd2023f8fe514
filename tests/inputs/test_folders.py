"""Files in folders: two files of one name, and folders as inputs."""

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
    """Return a workflow that saves each of these files with its own node, in order."""
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


async def last_value(engine: EngineHandle, node: str, name: str) -> str:
    """Return what ComfyUI got for an input in its newest prompt."""
    async with aiohttp.ClientSession() as http, http.get(f"{engine.url}/history?max_items=1") as response:
        [entry] = (await response.json()).values()
    return str(entry["prompt"][2][node]["inputs"][name])


async def test_one_file_is_not_used_for_two_names(engine: EngineHandle, tmp_path: Path) -> None:
    """A request with one file is refused if two nodes name files of that name in different folders."""
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
async def test_each_node_gets_its_own_file(
    engine: EngineHandle, tmp_path: Path, sent: list[str], named: list[str], shared: bool
) -> None:
    """Two files of one name are told apart by folder, case, Unicode form or suffix."""
    files = base64_of({sent[0]: png(41, 30), sent[1]: png(42, 30)})
    async with worker(engine, tmp_path, **{} if shared else {"comfyui_input": None}) as client:
        status, body = await client.post("/generate/sync", {"workflow": loads(*named), "inputs": files})
        assert (status, widths(body)) == (200, [41, 42]), body


async def test_an_ambiguous_name_is_refused(client: Client) -> None:
    """The error for an ambiguous name contains both files."""
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
async def test_folders_in_the_runpod_dialect(client: Client, images: list[dict[str, str]]) -> None:
    """The runpod dialect accepts a folder in the name, or in `subfolder` as ComfyUI's upload does."""
    for width, image in zip((41, 42), images, strict=True):
        image["image"] = base64.b64encode(png(width, 30)).decode()
    request = {"input": {"workflow": loads("a/face.png", "b\\face.png"), "images": images}}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    shown = [base64.b64decode(image["data"]) for image in body["images"]]
    assert [int.from_bytes(data[16:20]) for data in shown] == [41, 42]


async def test_files_of_a_form_may_have_folders(client: Client) -> None:
    """The name of a form's part may contain folders."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("request", orjson.dumps({"workflow": loads("a/face.png", "b/face.png")}).decode())
    for width, name in ((41, "a/face.png"), (42, "b/face.png")):
        form.add_field(name, png(width, 30), filename="any.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as response:
        body = await response.json()
    assert (response.status, widths(body)) == (200, [41, 42])


@pytest.mark.parametrize("prefix", ["", "film/frames/", "C:\\film\\"])
async def test_parts_of_one_name_are_a_folder(engine: EngineHandle, client: Client, prefix: str) -> None:
    """Parts of one name become a folder of files, with or without folders in their filenames."""
    form = aiohttp.FormData(quote_fields=False)
    workflow = takes("frames") | loads("frames/2.png", "frames/1.png")
    form.add_field("request", orjson.dumps({"workflow": workflow}).decode())
    for number in (1, 2):
        form.add_field("frames", png(40 + number, 30), filename=f"{prefix}{number}.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as response:
        body = await response.json()
    assert (response.status, widths(body)) == (200, [41, 42, 41]), body


@pytest.mark.parametrize("names", [("1.png", "1.png"), ("1.png", ".."), ("1.png", "")])
async def test_bad_parts_of_one_name_are_refused(client: Client, names: tuple[str, str]) -> None:
    """Parts of one name are refused if two files collide or a filename leaves the folder."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("request", orjson.dumps({"workflow": picture()}).decode())
    for name in names:
        form.add_field("frames", png(), filename=name)
    async with client.http.post(client.app.url + "/generate/sync", data=form) as response:
        body = await response.json()
    assert (response.status, body["error"]["code"]) == (400, "invalid_input_file"), body


async def test_a_folder_is_uploaded(engine: EngineHandle, tmp_path: Path) -> None:
    """The files of a folder are uploaded to a ComfyUI whose input folder is not accessible."""
    async with worker(engine, tmp_path, comfyui_input=None) as client:
        request = {"workflow": takes("frames"), "inputs": base64_of(FRAMES)}
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        folder = engine.input / await last_value(engine, "9", "directory")
        assert sorted(path.name for path in folder.iterdir()) == ["0001.png", "0002.png", "0010.png"]


@pytest.mark.parametrize("folder", ["frames", "frames/", "D:\\film\\frames", "frames [input]"])
async def test_a_folder_of_frames(engine: EngineHandle, client: Client, folder: str) -> None:
    """A folder input gets the job's own folder with all files, which is removed with the job."""
    request = {"workflow": takes(folder), "inputs": base64_of(FRAMES)}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    job, _, name = (await last_value(engine, "9", "directory")).partition("/")
    assert (job[:4], name) == ("job-", "frames")
    async with asyncio.timeout(60):
        while (engine.input / job).exists():  # it is removed behind the answer
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("class_type", ["LoadImageDataSetFromFolder", "LoadVideoTextDataSetFromFolder"])
async def test_a_folder_of_a_data_set(engine: EngineHandle, client: Client, class_type: str) -> None:
    """ComfyUI's folder loaders read one of two folders, and a folder inside another."""
    files = base64_of(FRAMES | {"other/frames/1.png": png()})
    for folder, name in (("frames", "frames"), ("other/frames", "other/frames"), ("other", "other")):
        request = {"workflow": takes(folder, class_type, "folder"), "inputs": files}
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        assert (await last_value(engine, "9", "folder")).partition("/")[2] == name


async def test_a_path_input_gets_the_path_of_the_folder(engine: EngineHandle, tmp_path: Path) -> None:
    """A path input gets the folder's path. Without access to the input folder it is refused with a suggestion."""
    request = {"workflow": takes("frames", "VHS_LoadImagesPath"), "inputs": base64_of(FRAMES)}
    async with worker(engine, tmp_path / "shared") as client:
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        path = Path(await last_value(engine, "9", "directory"))
        assert (path.parent.parent, path.name) == (engine.input, "frames")
    async with worker(engine, tmp_path / "apart", comfyui_input=None) as client:
        status, body = await client.post("/generate/sync", request)
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")
    assert "VHS_LoadImages" in body["error"]["details"][0]["suggestion"]


@pytest.mark.parametrize("folder", ["frame", "frames/..", "../other", "/frames/../..", "3d", "."])
async def test_a_folder_that_is_not_in_the_request_is_refused(client: Client, folder: str) -> None:
    """A folder input accepts only folders of files that were sent."""
    request = {"workflow": takes(folder), "inputs": base64_of(FRAMES)}
    status, body = await client.post("/generate/sync", request)
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")


async def test_the_name_of_a_folder_in_another_input_stays_text(engine: EngineHandle, client: Client) -> None:
    """The name of a folder is not replaced in prompts, or in inputs that write files."""
    workflow = takes("frames") | {
        "7": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "frames"}},
        "8": {"class_type": "PrimitiveString", "inputs": {"value": "frames"}},
    }
    status, body = await client.post("/generate/sync", {"workflow": workflow, "inputs": base64_of(FRAMES)})
    assert status == 200, body
    assert (await last_value(engine, "7", "filename_prefix"), await last_value(engine, "8", "value")) == (
        "frames",
        "frames",
    )


async def test_a_job_of_an_earlier_process_has_its_folders(engine: EngineHandle, tmp_path: Path) -> None:
    """After a restart a waiting job has its files with their folders."""
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

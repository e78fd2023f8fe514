"""Detection of damaged model files after a node has failed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle, start_engine
from tests.fetch.origin import content, opened, serving
from tests.models.files import DAMAGED, GOOD, HEALTHY, PAGE
from tests.workflow.prompts import link, node, sampled
from worker.errors import Detail, NodeFailed
from worker.model_file import damage, safetensors_fault
from worker.models.damaged import DamageCheck
from worker.models.folder import ModelsFolder

SAFETENSORS = "SafetensorError: Error while deserializing header: "


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_detected(tmp_path: Path, name: str) -> None:
    """damage returns a reason for a bad header, a wrong length, or another format."""
    (tmp_path / name).write_bytes(DAMAGED[name])
    assert damage(tmp_path / name)


@pytest.mark.parametrize("name", HEALTHY)
def test_an_intact_file_has_no_damage(tmp_path: Path, name: str) -> None:
    """damage returns None for an intact file, and for an unknown format."""
    (tmp_path / name).write_bytes(HEALTHY[name])
    assert damage(tmp_path / name) is None


def test_another_format_is_damage_only_after_a_failed_load(tmp_path: Path) -> None:
    """damage accepts other data in a `.pt`, unless a loader failed to read the file."""
    (tmp_path / "own.pt").write_bytes(b"own format" * 20)
    assert damage(tmp_path / "own.pt", failed_to_load=False) is None
    assert damage(tmp_path / "own.pt") == "it is neither a zip archive nor a pickle"


def test_errors_of_safetensors_are_recognised(tmp_path: Path) -> None:
    """The embedded engine raises the messages of safetensors, as recorded from a real ComfyUI."""
    expected = {
        "cut.safetensors": "incomplete metadata, file not fully covered",
        "header.safetensors": "invalid header length",
        "empty.safetensors": "header too small",
        "page.safetensors": "header too large",
        "bytes.sft": "invalid JSON in header",
    }
    for name, words in expected.items():
        (tmp_path / name).write_bytes(DAMAGED[name])
        assert safetensors_fault(tmp_path / name) == words


@asynccontextmanager
async def serving_models(root: Path, **more_settings: object) -> AsyncIterator[tuple[EngineHandle, Client]]:
    """Yield a strict engine with a folder of checkpoints, and a worker that knows the folder."""
    with start_engine(root / "engine", "--strict") as handle:
        models = handle.base / "models"
        (models / "checkpoints").mkdir(parents=True)
        async with worker(handle, root / "state", models_folder=models, **more_settings) as client:
            yield handle, client


def put(handle: EngineHandle, name: str, data: bytes) -> Path:
    path = handle.base / "models" / "checkpoints" / name
    path.write_bytes(data)
    return path


def naming(name: str) -> dict[str, Any]:
    prompt: dict[str, Any] = {**sampled()}
    prompt["4"]["inputs"]["ckpt_name"] = name
    return prompt


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("cut.safetensors", SAFETENSORS + "incomplete metadata"),
        ("page.safetensors", SAFETENSORS + "header too large"),
        ("empty.ckpt", "EOFError:"),
        ("cut.ckpt", "RuntimeError: PytorchStreamReader failed reading zip archive"),
        ("text.pth", "UnpicklingError: Weights only load failed"),
    ],
)
async def test_a_damaged_file_in_an_unknown_folder_is_named(tmp_path: Path, name: str, raised: str) -> None:
    """The loader fails as in ComfyUI, and a worker without a folder of models names the file."""
    with start_engine(tmp_path / "engine") as handle:
        path = handle.base / "models" / "checkpoints" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(DAMAGED[name])
        async with worker(handle, tmp_path / "state") as client:
            status, body = await client.post("/generate/sync", {"workflow": naming(name)})
    error = body["error"]
    assert (status, error["code"], error["fault"], error["retryable_elsewhere"]) == (
        422,
        "model_damaged",
        "worker",
        True,
    )
    assert f"models/checkpoints/{name} of this worker is damaged: it cannot be loaded ({raised}" in error["message"]
    assert path.exists()


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    """explain renames a damaged file, so that the next job is refused before it runs."""
    async with serving_models(tmp_path) as (handle, client):
        for number in ("", "1"):
            path = put(handle, "a.safetensors", DAMAGED["cut.safetensors"])
            status, body = await client.post("/generate/sync", {"workflow": naming(path.name)})
            [detail] = body["error"]["details"]
            assert (status, body["error"]["code"]) == (422, "model_damaged")
            assert (detail["node_id"], detail["class_type"]) == ("4", "CheckpointLoaderSimple")
            assert detail["message"].endswith(f"It was set aside as a.safetensors.damaged{number}.")
            assert (path.parent / f"a.safetensors.damaged{number}").read_bytes() == DAMAGED["cut.safetensors"]
            _, body = await client.post("/generate/sync", {"workflow": naming(path.name)})
            assert (body["error"]["code"], "damaged" in str(body)) == ("models_missing", False)


async def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    """explain fetches a damaged file again if a template has its URL, and the same job then runs."""
    async with serving(m=content(GOOD)) as origin:
        (tmp_path / "templates").mkdir()
        (tmp_path / "templates" / "small.json").write_text(json.dumps(sampled()))
        (tmp_path / "templates" / "small.toml").write_text(
            'title = "Small"\nabout = "A."\noutputs = ["9"]\n[[models]]\nfile = "m.safetensors"\n'
            f'folder = "checkpoints"\nurl = "{origin.url("/m")}"\nsha256 = "{hashlib.sha256(GOOD).hexdigest()}"\n'
        )
        more_settings = {"templates": str(tmp_path / "templates"), "fetch_allow": opened(origin)}
        async with serving_models(tmp_path, **more_settings) as (handle, client):
            path = put(handle, "m.safetensors", PAGE)
            status, body = await client.post("/generate/sync", {"workflow": naming(path.name)})
            assert (status, body["error"]["code"]) == (422, "model_damaged")
            assert (
                "it is an HTML page. It was set aside as m.safetensors.damaged. It is being" in body["error"]["message"]
            )
            async with asyncio.timeout(60):
                while (await client.post("/generate/sync", {"workflow": naming(path.name)}))[0] != 200:
                    await asyncio.sleep(0.05)
            assert path.read_bytes() == GOOD


async def test_an_intact_file_stays_whatever_its_node_raises(tmp_path: Path) -> None:
    """explain does not rename an intact file because of the text of an error."""
    raised = NodeFailed("failed", [Detail(SAFETENSORS + "header too small", "4", "Load", "CheckpointLoaderSimple")])
    async with serving_models(tmp_path) as (handle, client):
        path = put(handle, "good.safetensors", GOOD)
        doctor = DamageCheck(client.app.models, ModelsFolder(handle.base / "models"))
        assert await doctor.explain(raised, naming(path.name), client.app.engines.known_catalog) is raised
        assert path.read_bytes() == GOOD


async def test_a_file_that_can_not_be_checked_is_named_and_stays(tmp_path: Path) -> None:
    """explain names a file in torch's older format that cannot be loaded, and does not rename it."""
    text = "RuntimeError: unexpected EOF, expected 200 more bytes. The file might be corrupted."
    raised = NodeFailed("failed", [Detail(text, "4", "Load", "CheckpointLoaderSimple")])
    async with serving_models(tmp_path) as (handle, client):
        path = put(handle, "old.ckpt", HEALTHY["old.ckpt"])
        doctor = DamageCheck(client.app.models, ModelsFolder(handle.base / "models"))
        error = await doctor.explain(raised, naming(path.name), client.app.engines.known_catalog)
        assert (error.code, f"it cannot be loaded ({text[:-1]}" in error.message) == ("model_damaged", True)
        assert path.exists()


def unloaded() -> NodeFailed:
    text = SAFETENSORS + "header too large"
    return NodeFailed("failed", [Detail(text, "4", "Load", "CheckpointLoaderSimple")])


async def test_a_baked_file_is_set_aside(tmp_path: Path) -> None:
    """explain renames a damaged file in the models of the ComfyUI that the worker starts."""
    async with serving_models(tmp_path) as (handle, client):
        baked = handle.base / "models"
        path = put(handle, "page.safetensors", PAGE)
        doctor = DamageCheck(client.app.models, ModelsFolder(tmp_path / "own", baked=baked), settle_s=0)
        error = await doctor.explain(unloaded(), naming(path.name), client.app.engines.known_catalog)
        assert (error.code, "set aside as page.safetensors.damaged" in error.message) == ("model_damaged", True)
        assert (path.exists(), (path.parent / "page.safetensors.damaged").read_bytes()) == (False, PAGE)


async def test_a_file_on_a_network_volume_stays(tmp_path: Path) -> None:
    """explain names a damaged file on the volume, and does not rename it, because other workers use it."""
    async with serving_models(tmp_path) as (handle, client):
        volume = handle.base / "models"
        path = put(handle, "page.safetensors", PAGE)
        doctor = DamageCheck(client.app.models, ModelsFolder(tmp_path / "own", volume=volume), settle_s=0)
        error = await doctor.explain(unloaded(), naming(path.name), client.app.engines.known_catalog)
        assert (error.code, "replace it there" in error.message) == ("model_damaged", True)
        assert path.read_bytes() == PAGE
        assert [file.name for file in path.parent.iterdir() if "damaged" in file.name] == []


async def test_a_file_that_is_still_being_written_stays(tmp_path: Path) -> None:
    """explain does not rename a file that changes."""
    async with serving_models(tmp_path) as (handle, client):
        path = put(handle, "cut.safetensors", DAMAGED["cut.safetensors"])
        doctor = DamageCheck(client.app.models, ModelsFolder(handle.base / "models"), settle_s=0.5)
        catalog = client.app.engines.known_catalog
        explained = asyncio.create_task(doctor.explain(unloaded(), naming(path.name), catalog))
        with path.open("ab") as copy:
            while not explained.done():
                copy.write(b"more")
                copy.flush()
                await asyncio.sleep(0.02)
        error = await explained
        assert (error.code, "still being written" in error.message) == ("model_damaged", True)
        assert path.exists()


async def test_a_file_that_can_not_be_read_is_named_and_stays(tmp_path: Path) -> None:
    """explain names a file that cannot be opened, and does not rename it."""
    async with serving_models(tmp_path) as (handle, client):
        path = put(handle, "good.safetensors", GOOD)
        doctor = DamageCheck(client.app.models, ModelsFolder(handle.base / "models"), settle_s=0)
        catalog = client.app.engines.known_catalog
        with no_more_files():
            error = await doctor.explain(unloaded(), naming(path.name), catalog)
        assert (error.code, "cannot be read: too many open files" in error.message) == ("model_damaged", True)
        assert path.read_bytes() == GOOD


@contextmanager
def no_more_files() -> Iterator[None]:
    """Prevent this process from opening further files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_file_of_the_client_is_not_checked(tmp_path: Path) -> None:
    """explain does not check input files."""
    prompt = {"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=link("1"), filename_prefix="x")}
    async with serving_models(tmp_path) as (handle, client):
        (handle.input / "own.png").write_bytes(b"")
        body = {"workflow": prompt, "inputs": {"a.png": ""}}
        status, answer = await client.post("/generate/sync", body)
        assert (status >= 400, answer["error"]["code"] == "model_damaged") == (True, False)
        assert (handle.input / "own.png").exists()

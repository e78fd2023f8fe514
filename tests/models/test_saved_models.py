"""Models that jobs save are hidden from other jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle, start_engine
from tests.workflows import Workflow, picture, slow
from worker.engine.folders.saved_models import SavedModelFolders
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.catalog.saved_models import NO_SAVED_MODELS, SavedModels
from worker.workflow.validation.model_references import saved_model_problems

SAVED = "secret_00001_.safetensors"
LOADERS = {
    "checkpoints": ("CheckpointLoaderSimple", "ckpt_name"),
    "clip": ("CLIPLoader", "clip_name"),
    "diffusion_models": ("UNETLoader", "unet_name"),
    "loras": ("LoraLoaderModelOnly", "lora_name"),
    "vae": ("VAELoader", "vae_name"),
}
OTHERS: dict[str, dict[str, Any]] = {
    "CLIPLoader": {"type": "sd3"},
    "UNETLoader": {"weight_dtype": "default"},
    "LoraLoaderModelOnly": {"model": ["5", 0], "strength_model": 1.0},
}


def naming(folder: str, name: str) -> Workflow:
    """Return a prompt with an image and a loader of this model."""
    class_type, field = LOADERS[folder]
    workflow = picture()
    workflow["4"] = {"class_type": class_type, "inputs": {field: name, **OTHERS.get(class_type, {})}}
    workflow["5"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "own.safetensors"}}
    workflow["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}
    return workflow


def save(folder: Path, name: str = SAVED) -> Path:
    """Save a file as CheckpointSave does."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return path


@pytest.fixture(params=["strict", "lenient"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EngineHandle]:
    """Yield an engine with one model of the operator. The lenient one accepts any name."""
    save(tmp_path / "engine" / "models" / "checkpoints", "own.safetensors")
    with start_engine(tmp_path / "engine", *(["--strict"] if request.param == "strict" else [])) as handle:
        yield handle


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Client]:
    """Yield a worker that knows the engine's output folder and its models."""
    async with worker(engine, tmp_path / "state", models_folder=engine.base / "models") as cleaned:
        yield cleaned


async def listed(client: Client, engine: EngineHandle, class_type: str) -> str:
    async with client.http.get(f"{engine.url}/object_info/{class_type}") as response:
        return await response.text()


async def test_a_saved_model_cannot_be_named(client: Client, engine: EngineHandle) -> None:
    """A job that names another job's model is refused, although ComfyUI lists it."""
    await client.app.engines.catalog()
    for folder, (class_type, field) in LOADERS.items():
        save(engine.output / folder)
        assert SAVED in await listed(client, engine, class_type)
        status, body = await client.post("/generate/sync", {"workflow": naming(folder, SAVED)})
        assert (status, body["error"]["code"]) == (422, "models_missing"), body
        assert [(item["node_id"], item["input"]) for item in body["error"]["details"]] == [("4", field)]
        assert "has no file" in body["error"]["message"]
        _, report = await client.post("/validate", {"workflow": naming(folder, SAVED)})
        assert (report["valid"], [item["input"] for item in report["problems"]]) == (False, [field])
        assert not any(model["here"] for model in report["models"] if model["file"] == SAVED)
    client.app.engines.catalogs.invalidate()
    assert SAVED not in str((await client.app.engines.catalogs.current()).to_object_info())
    status, body = await client.post("/generate/sync", {"workflow": naming("vae", SAVED)})
    assert (status, body["error"]["code"]) == (422, "models_missing"), body


async def test_no_suggestion_names_a_saved_model(client: Client, engine: EngineHandle) -> None:
    """The error for a similar name does not suggest the saved model."""
    save(engine.output / "checkpoints")
    _, report = await client.post("/validate", {"workflow": naming("checkpoints", "secret_00002_.safetensors")})
    assert SAVED not in str(report)
    _, report = await client.post("/validate", {"workflow": naming("checkpoints", "Owns.safetensors")})
    lenient = report["valid"]
    assert lenient or "'own.safetensors'" in report["problems"][0]["suggestion"]


async def test_the_operators_file_of_the_same_name_is_used(client: Client, engine: EngineHandle) -> None:
    """A name that the operator's folder contains means the operator's file."""
    save(engine.output / "checkpoints", "sub/both.safetensors")
    save(engine.base / "models" / "checkpoints", "sub/both.safetensors")
    status, body = await client.post("/generate/sync", {"workflow": naming("checkpoints", "sub/both.safetensors")})
    assert status == 200, body
    catalog = await client.app.engines.catalogs.current()
    assert "sub/both.safetensors" in str(catalog.object_info("CheckpointLoaderSimple"))


async def test_a_model_that_is_saved_while_the_job_waits_is_refused(engine: EngineHandle, tmp_path: Path) -> None:
    """The prompt is checked again just before ComfyUI gets it."""
    options = {"models_folder": engine.base / "models", "queue_ahead": 0}
    async with worker(engine, tmp_path / "state", **options) as client:
        late = save(engine.base / "models" / "checkpoints", "late.safetensors")
        _, first = await client.post("/generate", {"workflow": slow(1.0)})
        await client.state(first, "generating")
        status, second = await client.post("/generate", {"workflow": naming("checkpoints", late.name)})
        assert status == 202, second
        save(engine.output / "checkpoints", late.name)
        late.unlink()
        await asyncio.wait_for(
            client.app.manager.wait_for_end(client.app.manager.find(second["id"], second["token"])), 15
        )
        status, body = await client.get(f"/jobs/{second['id']}", second["token"])
        assert (status, body["error"]["code"]) == (422, "models_missing"), body
        async with client.http.get(f"{engine.url}/history") as response:
            assert len(await response.json()) == 1


async def test_other_saved_files_are_not_hidden(client: Client, engine: EngineHandle) -> None:
    """An image with the prefix `loras/x` is not a model, and its name may be used."""
    save(engine.output / "loras", "x_00001_.png")
    workflow = picture(prefix="loras/x")
    workflow["7"] = {"class_type": "PreviewAny", "inputs": {"source": "x_00001_.png"}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    assert "x_00001_.png" not in await listed(client, engine, "LoraLoader")


CATALOG = bundled_catalog()
ONE = SavedModels({"loras": frozenset({"sub/mine_00001_.safetensors"})})
REFERENCES: dict[str, Any] = {
    "plain": {"lora_name": "sub/mine_00001_.safetensors"},
    "backslash": {"lora_name": "sub\\mine_00001_.safetensors"},
    "dots": {"lora_name": "./other/../sub//mine_00001_.safetensors"},
    "root": {"lora_name": "/sub/mine_00001_.safetensors"},
    "without extension": {"lora_name": "sub/mine_00001_"},
    "last part": {"lora": "mine_00001_"},
    "an object": {"lora_1": {"on": True, "lora": "sub/mine_00001_.safetensors", "strength": 1}},
    "wrapped": {"names": {"__value__": ["a", "sub/mine_00001_.safetensors"]}},
    "a path": {"path": "/data/output/loras/sub/mine_00001_.safetensors"},
    "a relative path": {"path": "../output/loras/sub/mine_00001_.safetensors"},
    "a tag": {"text": "a cat <lora:sub/mine_00001_:0.8> on a mat"},
    "a tag with an extension": {"text": "<lora:mine_00001_.safetensors:1:1>"},
}


@pytest.mark.parametrize("inputs", REFERENCES.values(), ids=REFERENCES)
def test_an_unknown_pack_cannot_name_a_saved_model(inputs: dict[str, Any]) -> None:
    """An unknown class cannot name a saved model without its folder or extension, in tags, objects or paths."""
    prompt: Any = {"1": {"class_type": "Power Lora Loader (somebody)", "inputs": inputs}}
    [problem] = saved_model_problems(prompt, CATALOG, ONE)
    assert (problem.node_id, problem.input, problem.kind) == ("1", next(iter(inputs)), "value_not_in_list")
    assert problem.message.startswith("models/loras has no file")


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("CLIPTextEncode", {"text": "mine_00001_ is a word", "clip": ["4", 1]}),
        ("SaveImage", {"filename_prefix": "mine_00001_", "images": ["8", 0]}),
        ("LoadImage", {"image": "mine_00001_.png"}),
        ("LoadImage", {"image": "sub/mine_00001_.safetensors"}),
        ("CheckpointLoaderSimple", {"ckpt_name": "sub/mine_00001_.safetensors"}),
        ("LoraLoaderModelOnly", {"lora_name": "mine_00001_.safetensors"}),
        ("Somebodys", {"lora": "sub/mine_00001_.png", "model": ["4", 0], "path": "models/mine_00001_.safetensors"}),
    ],
)
def test_similar_texts_are_not_refused(class_type: str, inputs: dict[str, Any]) -> None:
    """Words, prefixes, uploads, and files in other folders are not refused."""
    assert list(saved_model_problems({"1": {"class_type": class_type, "inputs": inputs}}, CATALOG, ONE)) == []


@pytest.mark.parametrize(
    "written",
    [
        [["a.safetensors", SAVED], {"default": SAVED}],
        ["COMBO", {"options": ["a.safetensors", SAVED], "default": SAVED}],
        [[{"content": "a.safetensors"}, {"content": SAVED, "image": None}], {}],
        [
            "COMFY_DYNAMICCOMBO_V3",
            {"options": [{"key": "a", "inputs": {"required": {"x": [["a.safetensors", SAVED]]}}}]},
        ],
    ],
)
def test_no_list_of_choices_contains_a_saved_model(written: Any) -> None:
    """The catalog hides the model in all forms of choices and in defaults."""
    saved = SavedModels({"checkpoints": frozenset({SAVED})})
    info: Any = {"input": {"required": {"name": written}}}
    cleaned = str(saved.class_without_names(info, {}))
    assert SAVED not in cleaned
    assert "a.safetensors" in cleaned


def test_comfyuis_error_does_not_name_a_saved_model() -> None:
    """The model is removed from ComfyUI's messages and input configurations."""
    saved = SavedModels({"checkpoints": frozenset({SAVED, "b.safetensors"})})
    details = f"ckpt_name: 'x' not in ['a.safetensors', '{SAVED}', 'b.safetensors']"
    config = [["a.safetensors", SAVED, "b.safetensors"], {"tooltip": "x"}]
    error = {"type": "value_not_in_list", "details": details, "extra_info": {"input_config": config}}
    cleaned = saved.response_without_names({"4": {"errors": [error]}})
    assert cleaned["4"]["errors"][0]["details"] == "ckpt_name: 'x' not in ['a.safetensors']"
    assert cleaned["4"]["errors"][0]["extra_info"]["input_config"][0] == ["a.safetensors"]


async def test_folders_are_searched_as_in_comfyui(tmp_path: Path) -> None:
    """`clip` also means text encoders, the operator's older folders count, and an inaccessible folder is empty."""
    save(tmp_path / "output" / "clip", "a.safetensors")
    save(tmp_path / "output" / "diffusion_models", "b.safetensors")
    save(tmp_path / "output" / "elsewhere", "c.safetensors")
    save(tmp_path / "models" / "unet", "b.safetensors")
    folders = SavedModelFolders(tmp_path / "output", (tmp_path / "models",))
    saved = await folders.scan()
    assert saved.folder_of("a.safetensors", ("text_encoders",)) == "text_encoders"
    assert saved.folder_of("b.safetensors", ("diffusion_models",)) is None
    assert saved.names == {"a.safetensors", "b.safetensors"}
    (tmp_path / "output" / "clip" / "a.safetensors").unlink()
    assert (await folders.scan(saved)).folder_of("a.safetensors") == "text_encoders", "as it may have been listed"
    assert await SavedModelFolders(None).scan() == NO_SAVED_MODELS

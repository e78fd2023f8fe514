"""A model file that a job saved is in no catalog, answer or suggestion, and no other job can use it."""

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
    """A picture, and a loader whose model is looked at."""
    class_type, field = LOADERS[folder]
    workflow = picture()
    workflow["4"] = {"class_type": class_type, "inputs": {field: name, **OTHERS.get(class_type, {})}}
    workflow["5"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "own.safetensors"}}
    workflow["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}
    return workflow


def save(folder: Path, name: str = SAVED) -> Path:
    """What CheckpointSave and its like do."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return path


@pytest.fixture(params=["strict", "lenient"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EngineHandle]:
    """An engine of its own, with a model of the operator's; the lenient one takes any name for a file that is there."""
    save(tmp_path / "engine" / "models" / "checkpoints", "own.safetensors")
    with start_engine(tmp_path / "engine", *(["--strict"] if request.param == "strict" else [])) as handle:
        yield handle


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Client]:
    """A worker that knows both the engine's output folder and its models."""
    async with worker(engine, tmp_path / "state", models_folder=engine.base / "models") as found:
        yield found


async def listed(client: Client, engine: EngineHandle, class_type: str) -> str:
    async with client.http.get(f"{engine.url}/object_info/{class_type}") as answer:
        return await answer.text()


async def test_no_job_names_a_model_that_another_one_saved(client: Client, engine: EngineHandle) -> None:
    """ComfyUI lists the file and would load it; the worker knows nothing of it, whenever it read its catalog."""
    await client.app.engines.catalog()
    for folder, (class_type, field) in LOADERS.items():
        save(engine.output / folder)
        assert SAVED in await listed(client, engine, class_type)
        status, body = await client.post("/generate/sync", {"workflow": naming(folder, SAVED)})
        assert (status, body["error"]["code"]) == (422, "models_missing"), body
        assert [(one["node_id"], one["input"]) for one in body["error"]["details"]] == [("4", field)]
        assert "has no file" in body["error"]["message"]
        _, report = await client.post("/validate", {"workflow": naming(folder, SAVED)})
        assert (report["valid"], [one["input"] for one in report["problems"]]) == (False, [field])
        assert not any(model["here"] for model in report["models"] if model["file"] == SAVED)
    client.app.engines.catalogs.invalidate()
    assert SAVED not in str((await client.app.engines.catalogs.current()).to_object_info())
    status, body = await client.post("/generate/sync", {"workflow": naming("vae", SAVED)})
    assert (status, body["error"]["code"]) == (422, "models_missing"), body


async def test_no_suggestion_names_it(client: Client, engine: EngineHandle) -> None:
    """A name that is nearly right is answered as if nothing were near."""
    save(engine.output / "checkpoints")
    _, report = await client.post("/validate", {"workflow": naming("checkpoints", "secret_00002_.safetensors")})
    assert SAVED not in str(report)
    _, report = await client.post("/validate", {"workflow": naming("checkpoints", "Owns.safetensors")})
    lenient = report["valid"]
    assert lenient or "'own.safetensors'" in report["problems"][0]["suggestion"]


async def test_the_operators_file_of_the_same_name_stays(client: Client, engine: EngineHandle) -> None:
    """ComfyUI takes the one in the folder of models first: it is the one that is meant."""
    save(engine.output / "checkpoints", "sub/both.safetensors")
    save(engine.base / "models" / "checkpoints", "sub/both.safetensors")
    status, body = await client.post("/generate/sync", {"workflow": naming("checkpoints", "sub/both.safetensors")})
    assert status == 200, body
    catalog = await client.app.engines.catalogs.current()
    assert "sub/both.safetensors" in str(catalog.object_info("CheckpointLoaderSimple"))


async def test_a_file_that_comes_while_the_job_waits_is_refused_too(engine: EngineHandle, tmp_path: Path) -> None:
    """The prompt is looked at once more just before ComfyUI gets it; ComfyUI never does."""
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
        async with client.http.get(f"{engine.url}/history") as answer:
            assert len(await answer.json()) == 1


async def test_what_is_no_model_is_no_secret(client: Client, engine: EngineHandle) -> None:
    """A picture with the prefix `loras/x` is a picture: ComfyUI lists it nowhere, and the same name is free."""
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
def test_a_pack_of_which_nothing_is_known_can_not_name_it(inputs: dict[str, Any]) -> None:
    """Packs take names without folders or extensions, in tags, in objects and as paths."""
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
def test_what_only_looks_like_it_is_left_alone(class_type: str, inputs: dict[str, Any]) -> None:
    """Words, prefixes, uploads, and files of the same name in folders where ComfyUI does not look for it."""
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
def test_no_form_of_a_choice_lists_it(written: Any) -> None:
    """Lists of both kinds, objects in the place of names, choices inside of choices, and defaults."""
    saved = SavedModels({"checkpoints": frozenset({SAVED})})
    info: Any = {"input": {"required": {"name": written}}}
    found = str(saved.class_without_names(info, {}))
    assert SAVED not in found
    assert "a.safetensors" in found


def test_comfyuis_own_refusal_does_not_name_it() -> None:
    """It lists what there is, in a sentence and in the configuration of the input."""
    saved = SavedModels({"checkpoints": frozenset({SAVED, "b.safetensors"})})
    details = f"ckpt_name: 'x' not in ['a.safetensors', '{SAVED}', 'b.safetensors']"
    config = [["a.safetensors", SAVED, "b.safetensors"], {"tooltip": "x"}]
    error = {"type": "value_not_in_list", "details": details, "extra_info": {"input_config": config}}
    found = saved.response_without_names({"4": {"errors": [error]}})
    assert found["4"]["errors"][0]["details"] == "ckpt_name: 'x' not in ['a.safetensors']"
    assert found["4"]["errors"][0]["extra_info"]["input_config"][0] == ["a.safetensors"]


async def test_folders_are_looked_at_as_comfyui_does(tmp_path: Path) -> None:
    """`clip` adds to text encoders, an operator's file counts in older folders, too, an unseen folder has nothing."""
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

"""LoRAs that a node would skip without an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import Client, worker
from tests.engines import EngineHandle, start_engine
from tests.fetch.origin import content, opened, serving
from tests.models.files import safetensors
from tests.workflow.prompts import link, node, sampled
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

DATA = safetensors(7000)
POWER = "Power Lora Loader (rgthree)"
STACK = {
    "input": {"required": {"model": ["MODEL"], "clip": ["CLIP"], "lora_name": [["None"]]}},
    **{"output": ["MODEL", "CLIP"], "output_name": ["MODEL", "CLIP"], "python_module": "custom_nodes.Comfyroll"},
}
CLASS = {
    "input": {"required": {}, "optional": {"model": ["MODEL"], "clip": ["CLIP"]}},
    **{"output": ["MODEL", "CLIP"], "output_name": ["MODEL", "CLIP"], "python_module": "custom_nodes.rgthree-comfy"},
}


def with_lora(name: str = "styles/new.safetensors", **changed: Any) -> Prompt:
    prompt = sampled(steps=1)
    entry = {"on": True, "lora": name, "strength": 1.0} | changed
    prompt["7"] = node(POWER, model=link("4"), clip=link("4", 1), lora_1=entry)
    prompt["3"]["inputs"]["model"] = link("7")
    return prompt


@asynccontextmanager
async def serving_packs(folder: Path, **more_settings: Any) -> AsyncIterator[tuple[EngineHandle, Client]]:
    """Yield a worker with an engine that has rgthree's class and one checkpoint."""
    catalog = Catalog.bundled().to_object_info() | {POWER: CLASS, "CR Load LoRA": STACK}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    put(folder / "engine", "checkpoints", "m.safetensors")
    with start_engine(folder / "engine", "--strict", "--catalog", str(folder / "catalog.json")) as handle:
        async with worker(handle, folder / "state", models_folder=handle.base / "models", **more_settings) as client:
            yield handle, client


def put(base: Path, folder: str, name: str) -> None:
    path = base / "models" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(DATA)


async def test_a_missing_lora_in_an_entry_is_refused(tmp_path: Path) -> None:
    """The error names node, entry and file. The job runs when the file is present, also by a part of its name."""
    async with serving_packs(tmp_path) as (handle, client):
        status, body = await client.post("/generate/sync", {"workflow": with_lora()})
        (detail,) = body["error"]["details"]
        assert (status, body["error"]["code"]) == (422, "models_missing")
        assert (detail["node_id"], detail["input"], detail["comfyui_type"]) == ("7", "lora_1.lora", None)
        assert "'styles/new.safetensors'" in detail["message"]
        for harmless in (with_lora(on=False), with_lora(strength=0)):
            assert (await client.post("/generate/sync", {"workflow": harmless}))[0] == 200
        put(handle.base, "loras", "styles/new.safetensors")
        for name in ("styles/new.safetensors", "new", "elsewhere/new.pt"):
            assert (await client.post("/generate/sync", {"workflow": with_lora(name)}))[0] == 200


async def test_a_backslash_in_an_entry_is_repaired(tmp_path: Path) -> None:
    """A name with a backslash is repaired and listed in `repairs`, and a missing file is refused."""
    async with serving_packs(tmp_path) as (handle, client):
        put(handle.base, "loras", "styles/new.safetensors")
        status, body = await client.post("/generate/sync", {"workflow": with_lora("styles\\new.safetensors")})
        assert (status, [item["runs"]["lora"] for item in body["repairs"]]) == (200, ["styles/new.safetensors"])
        assert (await client.post("/generate/sync", {"workflow": with_lora("styles\\other.safetensors")}))[0] == 422


async def test_a_missing_file_of_a_packs_loader_is_a_missing_model(tmp_path: Path) -> None:
    """A choice that ComfyUI refuses is `models_missing` with folder and file."""
    async with serving_packs(tmp_path) as (_, client):
        prompt = with_lora(on=False)
        prompt["11"] = node("CR Load LoRA", model=link("7"), clip=link("4", 1), lora_name="new.safetensors")
        prompt["3"]["inputs"]["model"] = link("11")
        status, body = await client.post("/generate/sync", {"workflow": prompt})
        assert (status, body["error"]["code"]) == (422, "models_missing")
        assert body["error"]["details"][0]["message"] == "models/loras has no file 'new.safetensors'."


async def test_strict_leaves_the_verdict_to_comfyui(tmp_path: Path) -> None:
    """With `strict` a missing LoRA is a doubtful problem, and the job runs."""
    async with serving_packs(tmp_path) as (_, client):
        _, body = await client.post("/validate", {"workflow": with_lora()})
        assert (body["valid"], [item["code"] for item in body["problems"]]) == (False, ["model_skipped"])
        assert body["comfyui"]["status"] == 200
        assert [model["file"] for model in body["models"] if not model["here"]] == ["styles/new.safetensors"]
        _, body = await client.post("/validate?strict=true", {"workflow": with_lora()})
        assert (body["valid"], [item["code"] for item in body["doubtful"]]) == (True, ["model_skipped"])
        assert (await client.post("/generate/sync", {"workflow": with_lora(), "strict": True}))[0] == 200


async def test_a_lora_in_an_entry_is_fetched_for_a_job(tmp_path: Path) -> None:
    """A missing LoRA is fetched on demand if a template has its URL."""
    async with serving(new=content(DATA)) as origin:
        templates = tmp_path / "templates"
        templates.mkdir()
        (templates / "small.json").write_text(json.dumps(sampled()))
        (templates / "small.toml").write_text(
            'title = "Small"\nabout = "A."\noutputs = ["9"]\n[[models]]\nfile = "styles/new.safetensors"\n'
            f'folder = "loras"\nurl = "{origin.url("/new")}"\nsize = {len(DATA)}\n'
            f'sha256 = "{hashlib.sha256(DATA).hexdigest()}"\n'
        )
        more_settings = {"templates": str(templates), "fetch_allow": opened(origin), "models_on_demand": True}
        async with serving_packs(tmp_path, **more_settings) as (handle, client):
            assert (await client.post("/generate/sync", {"workflow": with_lora("styles/new")}))[0] == 200
            assert (handle.base / "models" / "loras" / "styles" / "new.safetensors").read_bytes() == DATA

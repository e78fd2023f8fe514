"""Empty files instead of models."""

from __future__ import annotations

import json
from pathlib import Path

from worker.node_packs import standins
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.library import read_library
from worker.workflow.templates.template import ModelFile

MODELS = [ModelFile("a.safetensors", "vae"), ModelFile("sub/b.safetensors", "controlnet")]


def test_every_model_has_a_standin(tmp_path: Path) -> None:
    """Each model gets an empty file in its folder, and ComfyUI's arguments name the folders."""
    arguments = standins.write_standins(tmp_path, MODELS)
    told = dict(zip(arguments[::2], arguments[1::2], strict=True))
    more = json.loads(Path(told["--extra-model-paths-config"]).read_text())["standins"]
    for model in MODELS:
        path = Path(more["base_path"]) / more[model.folder] / model.file
        assert path.stat().st_size == 0
    assert (Path(told["--input-directory"]) / "stand-in.png").exists()
    assert all(str(tmp_path) in value for value in told.values())


def test_the_stored_catalog_has_no_standins() -> None:
    """The stored catalog does not have the stand-ins as choices."""
    names = ["a.safetensors", "real.safetensors", "sub/b.safetensors"]
    old = {"required": {"vae_name": [names, {"default": "real.safetensors"}]}}
    new = {"required": {"image": ["COMBO", {"options": [*names, "stand-in.png"]}]}}
    catalog = Catalog.from_object_info({"Old": {"input": old}, "New": {"input": new}})
    kept = standins.without_standins(catalog, MODELS)
    assert kept["Old"]["input"]["required"]["vae_name"][0] == ["real.safetensors"]
    assert kept["New"]["input"]["required"]["image"][1]["options"] == ["real.safetensors"]
    assert Catalog.from_object_info(kept)["Old"].by_name["vae_name"].options == ("real.safetensors",)


def test_a_template_gets_its_required_files() -> None:
    """A template gets stand-ins for its required files only."""
    assert standins.standin_params(read_library("shipped")["seedvr2-upscale-video"]) == {"video": "stand-in.mp4"}
    assert standins.standin_params(read_library("shipped")["sdxl"]) == {}

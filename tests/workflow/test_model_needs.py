"""Model files that a workflow needs."""

from __future__ import annotations

from tests.workflow.prompts import link, node, sampled
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.model_needs import ModelNeed, downloads_by_file, needed_models, saved_downloads
from worker.workflow.templates.template import ModelFile

CATALOG = Catalog.bundled().with_files({"checkpoints": ["m.safetensors"], "loras": ["a/b.safetensors"]})
LORA = ModelFile("b.safetensors", "loras", "https://example.com/b.safetensors", 5, "ab" * 32)


def test_each_file_is_listed_once() -> None:
    """A need has the folders, the nodes, whether the file is listed, and its download."""
    prompt = sampled() | {
        "20": node("LoraLoader", model=link("4"), clip=link("4", 1), lora_name="b.safetensors"),
        "21": node("LoraLoader", model=link("20"), clip=link("20", 1), lora_name="b.safetensors"),
    }
    prompt["3"]["inputs"]["model"] = link("21")
    assert needed_models(prompt, CATALOG, downloads_by_file([LORA])) == (
        ModelNeed("m.safetensors", ("checkpoints",), ("4",), listed=True, source=None),
        ModelNeed("b.safetensors", ("loras",), ("20", "21"), listed=False, source=LORA),
    )


def test_unused_loaders_need_no_models() -> None:
    """Loaders that no output needs, fixed choices, uploads and unknown classes give no model."""
    prompt = sampled() | {
        "20": node("LoraLoader", lora_name="idle.safetensors"),
        "21": node("VAELoader", vae_name="pixel_space"),
        "22": node("LoadImage", image="cat.png"),
        "23": node("Nope", ckpt_name="x.safetensors"),
        "24": node("VAEEncode", pixels=link("22"), vae=link("21")),
        "25": node("StyleModelLoader", style_model_name=link("22")),
    }
    prompt["3"]["inputs"] |= {"latent_image": link("24"), "extra": link("25")}
    assert [need.file for need in needed_models(prompt, CATALOG)] == ["m.safetensors"]


def test_the_download_selects_the_folder() -> None:
    """If an input has several folders, the downloads download decides."""
    catalog = Catalog.bundled()
    prompt = {"1": node("ClownModelLoader", model_name="x.safetensors")}
    (need,) = needed_models(prompt, catalog)
    assert (need.folders, need.folder) == (("checkpoints", "diffusion_models"), "checkpoints")
    downloads = downloads_by_file([ModelFile("x.safetensors", "diffusion_models", "https://example.com/x")])
    assert needed_models(prompt, catalog, downloads)[0].folder == "diffusion_models"


def test_saved_downloads() -> None:
    """Downloads are read from nodes and subgraphs, with their hash. Malformed ones are skipped."""
    model = {"name": "a.safetensors", "url": "https://example.com/a", "directory": "vae"}
    workflow = {
        "nodes": [{"properties": {"models": [model, {"name": "b"}, 5]}}, {"properties": {}}, 7],
        "definitions": {
            "subgraphs": [
                {"nodes": [{"properties": {"models": [{**model, "hash": "AB" * 32, "hash_type": "SHA256"}]}}]},
                None,
            ]
        },
    }
    assert list(saved_downloads(workflow)) == [
        ModelFile("a.safetensors", "vae", "https://example.com/a"),
        ModelFile("a.safetensors", "vae", "https://example.com/a", sha256="ab" * 32),
    ]
    assert list(saved_downloads([])) == list(saved_downloads({"nodes": 5, "definitions": []})) == []

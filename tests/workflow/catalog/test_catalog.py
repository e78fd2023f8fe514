"""The bundled catalog, and catalogs that an engine serves."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import Presence


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.bundled()


def test_bundled_catalog_has_all_classes_of_the_image(catalog: Catalog) -> None:
    """The catalog has 1,170 classes of the pinned ComfyUI, RES4LYF and ControlAltAI, and 84 of the optional packs."""
    packs = [catalog[name].pack for name in catalog]
    optional = ("ComfyUI_InstantID", "ComfyUI_IPAdapter_plus", "ComfyUI-VideoHelperSuite")
    assert (len(catalog), [packs.count(f"custom_nodes.{name}") for name in optional]) == (1254, [7, 37, 40])
    assert (packs.count("custom_nodes.RES4LYF"), packs.count("custom_nodes.ControlAltAI-Nodes")) == (299, 22)
    assert "ClownsharKSampler_Beta" in catalog
    assert "NoSuchNode" not in catalog


def test_bundled_catalog_loads_quickly() -> None:
    """Loading takes less than 0.2 s, because classes are parsed at their first use."""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        Catalog.bundled()["KSampler"]
        took.append(time.perf_counter() - start)
    assert min(took) < 0.2


def test_a_class_has_typed_inputs(catalog: Catalog) -> None:
    """The inputs of KSampler have order, types, limits and choices. Its output and its flags are set."""
    sampler = catalog["KSampler"]
    assert [spec.name for spec in sampler.inputs][:4] == ["model", "seed", "steps", "cfg"]
    steps = sampler.by_name["steps"]
    assert (steps.type, steps.presence, steps.default, steps.min, steps.max) == ("INT", Presence.REQUIRED, 20, 1, 10000)
    assert sampler.by_name["seed"].max == 2**64 - 1
    options = sampler.by_name["sampler_name"].options
    assert options is not None
    assert len(options) == 63
    assert [output.type for output in sampler.outputs] == ["LATENT"]
    assert (sampler.output_node, catalog["SaveImage"].output_node) == (False, True)
    assert (sampler.is_v3, catalog["ClownsharKSampler_Beta"].is_v3) == (False, True)
    assert catalog["KlingTextToVideoNode"].api_node


def test_both_forms_of_choices_are_read(catalog: Catalog) -> None:
    """A list in place of a type and a COMBO with options are both choices."""
    old, new = catalog["KSampler"].by_name["scheduler"], catalog["ClownsharKSampler_Beta"].by_name["scheduler"]
    assert old.type == new.type == "COMBO"
    assert old.options == new.options
    assert (isinstance(old.config[0], list), new.config[0]) == (True, "COMBO")


def test_file_inputs_have_folders(catalog: Catalog) -> None:
    """File inputs have only their fixed choices, and name the folders of their files."""
    choices = {
        f"{name}.{key}": (catalog[name].by_name[key].folders, catalog[name].by_name[key].options)
        for name, key in (("CheckpointLoaderSimple", "ckpt_name"), ("LoadImage", "image"), ("VAELoader", "vae_name"))
    }
    assert choices == {
        "CheckpointLoaderSimple.ckpt_name": (("checkpoints",), ()),
        "LoadImage.image": (("input",), ()),
        "VAELoader.vae_name": (("vae",), ("pixel_space",)),
    }
    assert catalog["KSampler"].by_name["scheduler"].folders == ()


def test_bundled_catalog_has_no_files_of_a_machine(catalog: Catalog) -> None:
    """The shipped data has no name of a file and no long text."""
    packed = orjson.dumps(catalog.to_object_info()).decode()
    assert "example.safetensors" not in packed
    assert "example.png" not in packed
    assert "tooltip" not in packed


def test_with_files_lists_files_by_folder(catalog: Catalog) -> None:
    """with_files fills both forms of choices, keeps fixed choices, and does not change the original catalog."""
    filled = catalog.with_files({"vae": ["a.safetensors"], "input": ["b.png"], "diffusion_models": ["c.safetensors"]})
    info: Any = filled.object_info("VAELoader")
    assert info["input"]["required"]["vae_name"] == [["a.safetensors", "pixel_space"]]
    assert filled["LoadAudio"].by_name["audio"].options == ("b.png",)
    assert filled["UNETLoader"].by_name["unet_name"].options == ("c.safetensors",)
    assert filled["ClownModelLoader"].by_name["model_name"].options == ("c.safetensors",)
    assert catalog["VAELoader"].by_name["vae_name"].options == ("pixel_space",)


def test_to_object_info_has_all_keys(catalog: Catalog) -> None:
    """to_object_info returns every key that a real server sends, for classes of both APIs."""
    every = {"input", "input_order", "output", "output_is_list", "output_name", "name", "display_name", "description"}
    every |= {"python_module", "category", "output_node", "is_input_list", "has_intermediate_output", "search_aliases"}
    newer = {"deprecated", "experimental", "api_node", "dev_only", "price_badge", "output_matchtypes"}
    served: Any = catalog.to_object_info()
    for name, info in served.items():
        assert every <= info.keys(), name
        assert "api_node" not in info or newer <= info.keys(), name
        assert {key: list(section) for key, section in info["input"].items()} == info["input_order"], name


def test_to_object_info_can_be_read_back(catalog: Catalog) -> None:
    """The output of to_object_info reads as the same classes."""
    again = Catalog.from_object_info(orjson.loads(orjson.dumps(catalog.to_object_info())))
    assert {name: again[name] for name in again} == {name: catalog[name] for name in catalog}


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"input": None, "output": None},
        {"input": {"required": {"a": None, "b": [], "c": "INT", "d": [5], "e": ["COMBO", {"options": 5}]}}},
        {"input": {"required": []}, "input_order": {"required": [1, "x"]}, "output": [1, None], "output_name": "x"},
    ],
)
def test_malformed_classes_raise_nothing(info: Any) -> None:
    """Malformed fields in classes of node packs are skipped."""
    node_class = Catalog.from_object_info({"Odd": info, "NotAClass": 5})["Odd"]
    assert node_class.name == node_class.display_name == "Odd"

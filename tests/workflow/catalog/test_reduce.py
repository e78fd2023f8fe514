"""Reduction of a recorded catalog."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from worker.workflow.catalog.catalog import BUNDLED, MADE_FROM, Catalog
from worker.workflow.catalog.reduce import bundle, main, reduce_object_info, reduced

RECORDED: Any = {
    "LoadImage": {
        "description": "Loads.",
        "search_aliases": ["open"],
        "display_name": "Load Image",
        "category": "image",
        "python_module": "nodes",
        "input": {"required": {"image": [["mine.png"], {"image_upload": True, "tooltip": "Which."}]}},
        "input_order": {"required": ["image"]},
        "output": ["IMAGE"],
        "output_name": ["IMAGE"],
        "output_is_list": [False],
        "output_node": False,
    },
    "Dynamic": {
        "api_node": False,
        "input": {
            "required": {
                "b": ["COMFY_DYNAMICCOMBO_V3", {"options": [
                    {"key": "k", "inputs": {"required": {"tooltip": ["INT", {"min": 1, "tooltip": "T"}]}}},
                ]}],
                "a": ["STRING", {"default": "x" * 61, "placeholder": "P"}],
            }
        },
        "input_order": {"required": ["b", "a"]},
        "output_node": True,
    },
}  # fmt: skip


def lines(packed: bytes) -> dict[str, Any]:
    rows = (line.partition("\t") for line in gzip.decompress(packed).decode().splitlines())
    return {name: json.loads(text) for name, _, text in rows}


def test_reduce_removes_texts_and_files() -> None:
    """Descriptions, tooltips, long defaults and files are removed. Names, types and limits stay."""
    assert lines(reduce_object_info(RECORDED)) == {
        "Dynamic": {
            "api_node": False,
            "input": {
                "required": {
                    "b": ["COMFY_DYNAMICCOMBO_V3", {"options": [
                        {"key": "k", "inputs": {"required": {"tooltip": ["INT", {"min": 1}]}}},
                    ]}],
                    "a": ["STRING", {"default": ""}],
                }
            },
            "output_node": True,
        },
        "LoadImage": {
            "display_name": "Load Image",
            "category": "image",
            "python_module": "nodes",
            "input": {"required": {"image": [[], {"image_upload": True}]}},
            "output": ["IMAGE"],
            "output_name": ["IMAGE"],
            "output_is_list": [False],
        },
    }  # fmt: skip


def test_reduce_keeps_the_declared_order() -> None:
    """Inputs are stored in their declared order."""
    assert list(lines(reduce_object_info(RECORDED))["Dynamic"]["input"]["required"]) == ["b", "a"]


PINS = f"ComfyUI  https://x.org/c/ComfyUI@{'a' * 40}  # v1\nOne https://x.org/a/One@{'b' * 40} base needs=X\n"


def test_reduce_is_deterministic(tmp_path: Path) -> None:
    """Several files are merged, and neither their order nor the time changes the result."""
    (tmp_path / "pins.txt").write_text(PINS)
    for name, info in RECORDED.items():
        (tmp_path / name).write_text(json.dumps({name: info}))
    for target, sources in (("one", ["LoadImage", "Dynamic"]), ("two", ["Dynamic", "LoadImage"])):
        (tmp_path / target).mkdir()
        paths = [str(tmp_path / source) for source in sources]
        main(str(tmp_path / target), str(tmp_path / "pins.txt"), *paths)
    one, two = tmp_path / "one", tmp_path / "two"
    assert (one / BUNDLED).read_bytes() == (two / BUNDLED).read_bytes() == reduce_object_info(RECORDED)
    assert json.loads((one / MADE_FROM).read_bytes())["commits"] == {"ComfyUI": "a" * 40, "One": "b" * 40}


def test_bundle_omits_packs_that_are_not_pinned() -> None:
    """The bundled catalog only has classes of pinned packs."""
    modules = {"A": "nodes", "B": "comfy_extras.nodes_x", "C": "custom_nodes.One", "D": "custom_nodes.Two"}
    packed, _ = bundle(PINS, {name: {"python_module": module} for name, module in modules.items()})
    assert list(lines(packed)) == ["A", "B", "C"]


def test_reduced_removes_the_files_of_the_machine() -> None:
    """reduced returns a recorded catalog without the files of its machine."""
    catalog = reduced(Catalog.from_object_info(RECORDED))
    assert list(catalog) == ["Dynamic", "LoadImage"]
    assert catalog["LoadImage"].by_name["image"].options == ()

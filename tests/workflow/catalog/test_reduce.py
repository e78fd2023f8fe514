"""Reducing a server's catalog to facts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from worker.workflow.catalog.reduce import main, reduce_object_info

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


def test_only_facts_are_left() -> None:
    """Descriptions, tooltips, long defaults and the machine's files go; names, even odd ones, types and limits stay."""
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


def test_the_declared_order_is_kept() -> None:
    """Inputs stand in their declared order, which is how the order is told."""
    assert list(lines(reduce_object_info(RECORDED))["Dynamic"]["input"]["required"]) == ["b", "a"]


def test_the_same_catalog_gives_the_same_bytes(tmp_path: Path) -> None:
    """Several files are merged, and neither their order nor the time of day shows."""
    for name, info in RECORDED.items():
        (tmp_path / name).write_text(json.dumps({name: info}))
    for target, sources in (("one", ["LoadImage", "Dynamic"]), ("two", ["Dynamic", "LoadImage"])):
        main(str(tmp_path / target), *(str(tmp_path / source) for source in sources))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == reduce_object_info(RECORDED)

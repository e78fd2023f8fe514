"""Node classes that no ComfyUI has, for tests and rehearsals; their names begin with `Embedded`."""

from __future__ import annotations

from typing import cast

import orjson

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import JsonObject

CATEGORY = "embedded"


def with_embedded_classes(catalog: Catalog) -> Catalog:
    """Return the catalog with the classes that only this engine has."""
    # As text: thousands of small objects would only burden every garbage collection.
    written: dict[str, JsonObject | bytes] = {name: orjson.dumps(catalog.object_info(name)) for name in catalog}
    embedded = {name: {**info, "display_name": name} for name, info in _own().items()}
    return Catalog({**written, **embedded}, {})


def _own() -> dict[str, JsonObject]:
    return {**_faulty(), **_unusual_savers()}


def _faulty() -> dict[str, JsonObject]:
    return {
        # Waits `seconds`: in `steps` equal parts with progress, where an interrupt is noticed, or in one (0).
        "EmbeddedSleep": _written(
            {
                "image": ["IMAGE", {}],
                "seconds": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 86400.0}],
                "steps": ["INT", {"default": 0, "min": 0, "max": 100_000}],
            },
            ["IMAGE"],
        ),
        # Does what `fault` says (worker/simulators/comfyui/faults/fault.py) when it runs, and hands the picture on.
        "EmbeddedFault": _written({"image": ["IMAGE", {}], "fault": ["STRING", {"default": "slow"}]}, ["IMAGE"]),
        # Raises RuntimeError with `message`.
        "EmbeddedFail": _written(
            {"image": ["IMAGE", {}], "message": ["STRING", {"default": "asked to fail"}]}, ["IMAGE"]
        ),
        # Hands the picture on, and breaks without the editor's file, as nodes of packs do that read it.
        "EmbeddedReader": _with_hidden(_written({"image": ["IMAGE", {}]}, ["IMAGE"])),
        # Shows as text what the server filled in, of the key its SHA-256; with `raises` it fails with the key.
        "EmbeddedHidden": _with_hidden(
            _written({"image": ["IMAGE", {}], "raises": ["BOOLEAN", {"default": False}]}, [], output_node=True)
        ),
        # Writes an output file of `mebibytes` MiB that isn't in fact stored (a hole), shown under `images`.
        "EmbeddedBigFile": _written(
            {
                "mebibytes": ["INT", {"default": 200, "min": 0, "max": 65536}],
                "filename_prefix": ["STRING", {"default": "big"}],
            },
            [],
            output_node=True,
        ),
    }


def _unusual_savers() -> dict[str, JsonObject]:
    """Output nodes that report a file in a form that the editor does not show, or not at all, as some packs do."""
    image: JsonObject = {"image": ["IMAGE", {}]}
    prefix: JsonObject = {"prefix": ["STRING", {"default": "embedded"}]}
    seconds: JsonObject = {"seconds": ["FLOAT", {"default": 0.5, "min": 0.0, "max": 3600.0}]}
    absolute: JsonObject = {"absolute": ["BOOLEAN", {"default": True}]}
    return {
        # Writes output/PREFIX_N.png and reports nothing.
        "EmbeddedSaveSilently": _written(image | prefix, [], output_node=True),
        # Returns at once; the picture is written `seconds` later, whatever runs then.
        "EmbeddedLateFile": _written(image | prefix | seconds, [], output_node=True),
        # Reports the path of its picture as text under a key of its own; absolute, or relative to output.
        "EmbeddedPathString": _written(image | prefix | absolute, [], output_node=True),
        # Reports the JSON object as its `ui`; a value that is no list is taken apart as ComfyUI does.
        "EmbeddedReport": _written({"json": ["STRING", {"default": "{}"}]}, [], output_node=True),
        # Writes output/checkpoints/PREFIX_N_.safetensors and reports nothing.
        "EmbeddedSaveModel": _written(prefix, [], output_node=True),
    }


def _with_hidden(info: JsonObject) -> JsonObject:
    hidden: JsonObject = {"extra_pnginfo": ["EXTRA_PNGINFO"], "api_key_comfy_org": ["API_KEY_COMFY_ORG"]}
    return {**info, "input": {**cast("JsonObject", info["input"]), "hidden": hidden}}


def _written(required: JsonObject, output: list[str], *, output_node: bool = False) -> JsonObject:
    return {
        "input": {"required": required},
        "input_order": {"required": list(required)},
        "output": list(output),
        "output_name": list(output),
        "output_is_list": [False] * len(output),
        "output_node": output_node,
        "category": CATEGORY,
        "python_module": CATEGORY,
    }

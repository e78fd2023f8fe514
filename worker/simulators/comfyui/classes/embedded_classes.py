"""Node classes that only the embedded engine has, for tests and rehearsals. Their names begin with `Embedded`."""

from __future__ import annotations

from typing import cast

import orjson

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import JsonObject

CATEGORY = "embedded"


def with_embedded_classes(catalog: Catalog) -> Catalog:
    """Return the catalog extended by the classes that only this engine has."""
    # Serialized text keeps thousands of small objects out of every garbage collection.
    serialized: dict[str, JsonObject | bytes] = {name: orjson.dumps(catalog.object_info(name)) for name in catalog}
    embedded = {name: {**info, "display_name": name} for name, info in {**_faulty(), **_unusual_savers()}.items()}
    return Catalog({**serialized, **embedded}, {})


def _faulty() -> dict[str, JsonObject]:
    """Return the classes that wait, fail or write a large file, by name."""
    return {
        # Waits `seconds`, in `steps` equal parts with progress and interrupts. With 0 steps it cannot be interrupted.
        "EmbeddedSleep": _class_info(
            {
                "image": ["IMAGE", {}],
                "seconds": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 86400.0}],
                "steps": ["INT", {"default": 0, "min": 0, "max": 100_000}],
            },
            ["IMAGE"],
        ),
        # Injects the fault of its input (worker/simulators/comfyui/faults/fault.py), and returns the image.
        "EmbeddedFault": _class_info({"image": ["IMAGE", {}], "fault": ["STRING", {"default": "slow"}]}, ["IMAGE"]),
        # Raises RuntimeError with `message`.
        "EmbeddedFail": _class_info(
            {"image": ["IMAGE", {}], "message": ["STRING", {"default": "asked to fail"}]}, ["IMAGE"]
        ),
        # Returns the image. It fails when the prompt has no editor file, as nodes of packs do that read it.
        "EmbeddedReader": _with_hidden(_class_info({"image": ["IMAGE", {}]}, ["IMAGE"])),
        # Reports the hidden inputs as text, with the SHA-256 of the key. With `raises` its error contains the key.
        "EmbeddedHidden": _with_hidden(
            _class_info({"image": ["IMAGE", {}], "raises": ["BOOLEAN", {"default": False}]}, [], output_node=True)
        ),
        # Writes a sparse output file of `mebibytes` MiB, and reports it under `images`.
        "EmbeddedBigFile": _class_info(
            {
                "mebibytes": ["INT", {"default": 200, "min": 0, "max": 65536}],
                "filename_prefix": ["STRING", {"default": "big"}],
            },
            [],
            output_node=True,
        ),
    }


def _unusual_savers() -> dict[str, JsonObject]:
    """Return the output nodes, by name, that report a file in a form that the editor does not show, or not at all."""
    image: JsonObject = {"image": ["IMAGE", {}]}
    prefix: JsonObject = {"prefix": ["STRING", {"default": "embedded"}]}
    seconds: JsonObject = {"seconds": ["FLOAT", {"default": 0.5, "min": 0.0, "max": 3600.0}]}
    absolute: JsonObject = {"absolute": ["BOOLEAN", {"default": True}]}
    return {
        # Writes output/PREFIX_N.png and reports nothing.
        "EmbeddedSaveSilently": _class_info(image | prefix, [], output_node=True),
        # Returns at once and writes the image `seconds` later, from a thread of its own.
        "EmbeddedLateFile": _class_info(image | prefix | seconds, [], output_node=True),
        # Reports the path of its image as text under the key `file_path`, absolute or relative to output.
        "EmbeddedPathString": _class_info(image | prefix | absolute, [], output_node=True),
        # Reports the JSON object as its `ui`. A string value is split into characters, as ComfyUI does.
        "EmbeddedReport": _class_info({"json": ["STRING", {"default": "{}"}]}, [], output_node=True),
        # Writes output/checkpoints/PREFIX_N_.safetensors and reports nothing.
        "EmbeddedSaveModel": _class_info(prefix, [], output_node=True),
    }


def _with_hidden(info: JsonObject) -> JsonObject:
    """Return the class with the two hidden inputs that the server fills in."""
    hidden: JsonObject = {"extra_pnginfo": ["EXTRA_PNGINFO"], "api_key_comfy_org": ["API_KEY_COMFY_ORG"]}
    return {**info, "input": {**cast("JsonObject", info["input"]), "hidden": hidden}}


def _class_info(required: JsonObject, output: list[str], *, output_node: bool = False) -> JsonObject:
    """Return an entry of `/object_info` for a class with these inputs and output types."""
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

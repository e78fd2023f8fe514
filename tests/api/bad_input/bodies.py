"""Valid requests of every dialect and form, and the same with one value of another JSON type."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.workflow.editor.workflow_builder import WorkflowBuilder
from tests.workflows import drawn, picture

Path = tuple[str | int, ...]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
OTHER_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 7, 2**53, 10**30, 1.5, -1e308, "", "1", "²", "٣", "x\0y", "a/../b", "9" * 5000, "画" * 84),
    *([], [[]], [None], [1, 2], ["1", 0], ["1", -1], ["²", 0], ["1", 0, 0], [{}], {}, {"1": 1}, {"": {}}, [["1", 0]]),
)
"""Values of each JSON type, and those that code tends to take for another one."""


def with_file() -> dict[str, Any]:
    """Return a prompt that reads an image of the request."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "pixel.png"}, "_meta": {"title": "Load"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


def subgraph() -> dict[str, Any]:
    """Return a file of the editor with a subgraph, a group, a seed and a note."""
    inside = WorkflowBuilder("11111111-1111-4111-8111-111111111111")
    inside.node(5, "ImageScale", ["area", 32, 32, "disabled"])
    inside.add_input("image", "IMAGE", (5, "image"))
    inside.add_input("width", "INT", (5, "width"), widget=True)
    inside.add_output("IMAGE", "IMAGE", 5)
    drawing = WorkflowBuilder()
    drawing.definitions = [inside]
    drawing.node(1, "EmptyImage", [64, 64, 1, 5])
    drawing.node(2, inside.subgraph, [16], properties={"proxyWidgets": [["5", "width"]]})
    drawing.node(3, "SaveImage", ["x"])
    drawing.node(4, "MarkdownNote", ["text"])
    drawing.link(1, 0, 2, "image", "IMAGE")
    drawing.link(2, 0, 3, "images", "IMAGE")
    more = {"groups": [{"title": "G", "bounding": [0, 0, 9, 9]}], "config": {}, "extra": {"ds": {"scale": 1}}}
    return {**drawing.saved(), **more, "last_node_id": 4, "last_link_id": 2}


def valid_bodies() -> dict[str, dict[str, Any]]:
    """Return requests that run, by their form."""
    prompt = picture(prefix="swap", color=7)
    s3 = {
        **{"bucket": "b", "access_key_id": "k", "secret_access_key": "s", "prefix": "画/x"},
        "endpoint_url": "https://s3.example.com",
    }
    return {
        "native": {
            **{"workflow": with_file(), "inputs": {"pixel.png": PIXEL}, "output_format": "base64", "id": None},
            **{"output": {"format": "webp", "quality": 80, "metadata": "strip"}, "timeout_s": 20, "strict": False},
            "extra_data": {"extra_pnginfo": {"workflow": drawn()}, "api_key_comfy_org": "k"},
            **{"deliver_models": False, "keep_seeds": True},
        },
        "comfyui": {
            **{"prompt": prompt, "client_id": "c", "number": 1, "front": True, "partial_execution_targets": ["2"]},
            "extra_data": {"extra_pnginfo": {"shot": {"a": [1]}}},
        },
        "template": {"template": "smoke-resize", "params": {"width": 32, "height": 32, "color": 5, "method": "area"}},
        "editor": {"workflow": drawn(), "output_format": "url"},
        "subgraph": {"workflow": subgraph()},
        "file": subgraph(),
        "places": {
            **{"workflow": prompt, "output_format": "url", "s3": s3},
            "webhook": {"url": "https://example.com/hook", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        },
        "put": {"workflow": prompt, "put_urls": ["https://example.com/a"]},
        "vast": {
            "input": {
                **{"request_id": "", "workflow_json": prompt, "return_outputs_as_base64": True},
                **{"s3": {"bucket_name": "", "region": ""}, "output": {"format": "jpeg"}},
                "webhook": {"url": "", "extra_params": {"a": {"b": 1}}, "timeout": 5, "secret": "s"},
            }
        },
        "modifier": {
            "input": {
                **{"modifier": "RawWorkflow", "modifications": {"workflow_json": prompt}},
                "extra_data": {"extra_pnginfo": {"a": 1}},
            }
        },
        "runpod": {
            "input": {
                "workflow": with_file(),
                "images": [{"name": "pixel.png", "image": f"data:image/png;base64,{PIXEL}", "subfolder": ""}],
                "comfy_org_api_key": "k",
            },
            **{"policy": {"executionTimeout": 60000}, "webhook": None, "s3Config": {}},
        },
        "envelope": {"payload": {"workflow": prompt}, "auth_data": {"url": "u"}, "session_id": None},
    }


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the location of the value and of everything in it."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def swapped(body: Any, path: Path, value: Any) -> Any:
    """Return the body with another value at a location."""
    if not path:
        return value
    changed = copy.deepcopy(body)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


def renamed(body: Any, path: Path, name: str) -> Any:
    """Return the body with another key at a location inside an object."""
    changed = copy.deepcopy(body)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[name] = inside.pop(path[-1])
    return changed

"""ComfyUI for handlers: the functions that apps have in `utils.comfyui`, `utils.image_utils` and `utils.cost_tracker`.

They are for apps without such modules. This file uses only the standard library, and Pillow for PIL images. Prompts run
on the worker, through ComfyUI's API on a port of this process.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from PIL.Image import Image

HOST = "127.0.0.1"
ANSWER_S = 120.0
"""Seconds within which ComfyUI has to answer a request."""
CALL_HEADER = "X-Comfy-Worker-Call"
"""Header with the id of the call that sends a prompt."""
LONGEST_WAIT_S = 60
"""Most seconds that one request waits for the end of a prompt."""

_port = 8188
_app = Path()
_call = ""
_local = threading.local()


class ComfyUIError(RuntimeError):
    """ComfyUI has refused a prompt, or a node has failed."""


def connect(port: int, app: str) -> None:
    """Use ComfyUI on this port, and the folder of this app. The worker calls it before it imports the handlers."""
    global _port, _app
    _port, _app = port, Path(app)


def begin_call(call: str) -> None:
    """Send prompts as a part of this call. The worker calls it before each call of a handler."""
    global _call  # noqa: PLW0603 - one call at a time
    _call = call


def launch_comfy_server(port: int | None = None, timeout: float = 300) -> SimpleNamespace:
    """Wait until the worker's ComfyUI responds. Return an object with the methods of a process, which do nothing."""
    del port  # each process of handlers has its own
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            _request("GET", "/system_stats")
            return SimpleNamespace(
                poll=lambda: None, terminate=lambda: None, kill=lambda: None, wait=lambda timeout=None: 0
            )
        except (OSError, ComfyUIError):
            time.sleep(0.2)
    raise ComfyUIError(f"ComfyUI did not respond within {timeout:g} s")


def random_seed(seed: int | None = None) -> int:
    """Return the seed, or a random one for None."""
    return random.randrange(2**32) if seed is None else int(seed)  # noqa: S311 - no secret


def load_graph(name: str) -> dict[str, Any]:
    """Return a prompt of the app's folder `graphs`, to be filled in."""
    graph: dict[str, Any] = json.loads((_app / "graphs" / f"{name}.json").read_text("utf-8"))
    return graph


def build_workflow(  # noqa: PLR0913, PLR0917 - the signature that apps call
    prompt: str,
    negative_prompt: str = "",
    model: str = "flux1-schnell-fp8.safetensors",
    width: int = 1024,
    height: int = 1024,
    steps: int = 4,
    cfg: float = 1.0,
    seed: int | None = None,
    sampler_name: str = "euler",
    scheduler: str = "simple",
) -> dict[str, Any]:
    """Return a prompt that makes an image from text with a checkpoint."""
    nodes = {
        "checkpoint": ("CheckpointLoaderSimple", {"ckpt_name": model}),
        "positive": ("CLIPTextEncode", {"text": prompt, "clip": ["checkpoint", 1]}),
        "negative": ("CLIPTextEncode", {"text": negative_prompt, "clip": ["checkpoint", 1]}),
        "size": ("EmptySD3LatentImage", {"width": width, "height": height, "batch_size": 1}),
        "sampler": (
            "KSampler",
            {
                **{"model": ["checkpoint", 0], "positive": ["positive", 0], "negative": ["negative", 0]},
                **{"latent_image": ["size", 0], "seed": random_seed(seed), "steps": steps, "cfg": cfg},
                **{"sampler_name": sampler_name, "scheduler": scheduler, "denoise": 1.0},
            },
        ),
        "decode": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["checkpoint", 2]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "image"}),
    }
    return {name: {"class_type": class_type, "inputs": inputs} for name, (class_type, inputs) in nodes.items()}


def upload_image(image: Image, name: str, port: int | None = None) -> str:
    """Send a PIL image to ComfyUI's input folder, and return its name there."""
    boundary, filename = uuid.uuid4().hex, f"{uuid.uuid4().hex}-{Path(name).stem}.png"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\n'
    body = b"".join(
        [head.encode(), b"Content-Type: image/png\r\n\r\n", _png(image), f"\r\n--{boundary}--\r\n".encode()]
    )
    content_type = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return str(json.loads(_request("POST", "/upload/image", body, port, content_type))["name"])


def execute_workflow(workflow: dict[str, Any], port: int | None = None, timeout: float = 600) -> dict[str, Any]:
    """Run a prompt, and return its files in the order of its nodes.

    Returns {"prompt_id": ..., "files": [{"filename", "node", "data"}, ...]}, with `data` as bytes. Raises ComfyUIError
    when ComfyUI refuses the prompt or a node fails, and TimeoutError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    answer = _post("/prompt", {"prompt": workflow, "client_id": uuid.uuid4().hex}, port, _prefer_wait(deadline))
    prompt_id, history = answer["prompt_id"], answer.get("history", {})
    while prompt_id not in history:
        if time.monotonic() >= deadline:
            _post("/interrupt", {"prompt_id": prompt_id}, port)
            raise TimeoutError(f"prompt {prompt_id} has not ended in time")
        time.sleep(0.05)  # for a ComfyUI that answers at once
        history = json.loads(_request("GET", f"/history/{prompt_id}", port=port, headers=_prefer_wait(deadline)))
    entry = history[prompt_id]
    if entry.get("status", {}).get("status_str") == "error":
        raise ComfyUIError(_failure(entry["status"]))
    files = [
        {"filename": file["filename"], "node": node, "data": _request("GET", f"/view?{_query(file)}", port=port)}
        for node, output in entry["outputs"].items()
        for files in output.values()
        for file in files
        if isinstance(file, dict) and file.get("type") == "output"
    ]
    return {"prompt_id": prompt_id, "files": files}


def execute_comfyui_workflow(workflow: dict[str, Any], timeout: float = 600) -> dict[str, Any]:
    """Run a prompt on the worker's ComfyUI. The same as `execute_workflow`."""
    return execute_workflow(workflow, timeout=timeout)


def process_image_result(result: dict[str, Any]) -> dict[str, Any]:
    """Return the images of a result as base64: {"image": the first, "images": all}."""
    images = [base64.b64encode(file["data"]).decode() for file in result["files"]]
    if not images:
        raise ComfyUIError("the workflow has saved no image")
    return {"image": images[0], "images": images, "prompt_id": result["prompt_id"]}


def process_video_result(result: dict[str, Any]) -> dict[str, Any]:
    """Return the first video of a result as base64: {"video": ..., "filename": ...}."""
    for file in result["files"]:
        if file["filename"].endswith((".mp4", ".webm")):
            video = base64.b64encode(file["data"]).decode()
            return {"video": video, "filename": file["filename"], "prompt_id": result["prompt_id"]}
    raise ComfyUIError("the workflow has saved no video")


def encode_image_to_base64(image: str | os.PathLike[str] | bytes | Image) -> str:
    """Return a file, bytes or a PIL image as base64. A PIL image becomes a PNG."""
    if isinstance(image, str | os.PathLike):
        image = Path(image).read_bytes()
    return base64.b64encode(image if isinstance(image, bytes) else _png(image)).decode()


def decode_base64_to_image(text: str) -> Image:
    """Return a PIL image from base64, with or without the head of a data URL."""
    from PIL import Image

    if text.startswith("data:"):
        text = text.split(",", 1)[1]
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image


# Written by docs/make_pricing.py from worker/prices.
PRICES = """
modal T4=0.5904 L4=0.7992 A10=1.102 L40S=1.951 A100-40GB=2.099 A100-80GB=2.498 RTX-PRO-6000=3.031 H100=3.949
modal H200=4.54 B200=6.25
runpod RTX-A4000=0.576 RTX-A4500=0.576 RTX-4000=0.576 L4=0.684 RTX-A5000=0.684 RTX-3090=0.684 RTX-4090=1.116
runpod RTX-A6000=1.224 A40=1.224 L40=1.908 L40S=1.908 RTX-6000-Ada=1.908 A100-80GB=2.736 H100=4.176
runpod RTX-PRO-6000=3.996 H200=5.58 B200=8.64
vast RTX-3090=0.25 RTX-4090=0.655 RTX-5090=1.005 RTX-A6000=0.55 A40=0.55 A100-80GB=0.995 H100=2.4 H200=3.5 B200=4.49
"""


class CostTracker:
    """Adds up the dollars of calls on one platform."""

    def __init__(self, platform: str = "modal") -> None:
        self.platform = platform
        rows = (row.split()[1:] for row in PRICES.splitlines() if row.split()[:1] == [platform])
        # Dollars per GPU hour.
        self.prices = {name: float(usd) for row in rows for name, usd in (price.split("=") for price in row)}
        self.calls: list[SimpleNamespace] = []

    def calculate_cost(self, gpu_type: str, duration_seconds: float) -> float:
        """Return the dollars of a GPU for these seconds. Raises KeyError for an unknown GPU."""
        usd_hour = self.prices.get(gpu_type.replace(" ", "-"))
        if usd_hour is None:
            raise KeyError(f"no price of {gpu_type} on {self.platform}: known are {', '.join(self.prices)}")
        return usd_hour * duration_seconds / 3600

    @contextmanager
    def measure(self, gpu_type: str) -> Iterator[SimpleNamespace]:
        """Measure a call. Its seconds and dollars are known after the block."""
        call, start = SimpleNamespace(gpu_type=gpu_type, seconds=0.0, usd=0.0), time.monotonic()
        try:
            yield call
        finally:
            call.seconds = time.monotonic() - start
            call.usd = self.calculate_cost(gpu_type, call.seconds)
            self.calls.append(call)

    @property
    def total_usd(self) -> float:
        """The dollars of all calls."""
        return float(sum(call.usd for call in self.calls))


def _prefer_wait(deadline: float) -> dict[str, str]:
    """Return the header with which the worker answers when the prompt has ended, before the deadline."""
    return {"Prefer": f"wait={max(1, min(LONGEST_WAIT_S, int(deadline - time.monotonic())))}"}


def _request(
    method: str, path: str, body: bytes | None = None, port: int | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return the body of a response. Each thread keeps its connection open. Raises ComfyUIError for a refusal."""
    new = http.client.HTTPConnection(HOST, port or _port, timeout=ANSWER_S)
    connection: http.client.HTTPConnection = _local.__dict__.setdefault(str(port or _port), new)
    try:
        connection.request(method, path, body, {CALL_HEADER: _call, **(headers or {})})
        response = connection.getresponse()
        data = response.read()
    except BaseException:
        connection.close()  # it connects again at the next request
        raise
    if response.status >= 400:
        raise ComfyUIError(_refusal(response.status, data))
    return data


def _post(path: str, value: object, port: int | None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **(headers or {})}
    answer: dict[str, Any] = json.loads(_request("POST", path, json.dumps(value).encode(), port, headers) or "{}")
    return answer


def _query(file: dict[str, Any]) -> str:
    return urlencode({key: file[key] for key in ("filename", "subfolder", "type")})


def _png(image: Image) -> bytes:
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


def _refusal(status: int, data: bytes) -> str:
    """Return the message of a refusal, for a prompt with all errors of its nodes."""
    try:
        body = json.loads(data)
        errors = [
            f"node {node}: {error['message']} ({error['details']})"
            for node, found in (body.get("node_errors") or {}).items()
            for error in found["errors"]
        ]
        return "; ".join(errors) or str(body["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"ComfyUI has answered with {status}: {data[:500].decode(errors='replace')}"


def _failure(status: dict[str, Any]) -> str:
    """Return the message of the node that has failed."""
    for name, data in status.get("messages", []):
        if name == "execution_error":
            return f"{data['node_type']} (node {data['node_id']}): {data['exception_message']}"
    return "the prompt has failed"

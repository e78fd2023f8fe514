"""ComfyUI of the same container: wait for it, send prompts to it, and read the results."""

import base64
import io
import json
import random
import time
import uuid
from pathlib import Path

import requests

GRAPHS = Path(__file__).parent.parent / "graphs"
POLL_S = 0.5

_port = 8000


class ComfyUIError(RuntimeError):
    """ComfyUI has refused a prompt, or a node has failed."""


def launch_comfy_server(port=8000, timeout=300):
    """Wait until the ComfyUI API of the worker responds on a port."""
    global _port
    _port = port
    deadline = time.time() + timeout
    while time.time() < deadline:
        try:
            requests.get(f"http://localhost:{port}/system_stats", timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(1)
    raise ComfyUIError(f"ComfyUI did not start within {timeout} s")


def random_seed(seed=None):
    """Return the seed, or a random one for None."""
    return random.randrange(2**32) if seed is None else int(seed)


def load_graph(name):
    """Return a prompt of the folder `graphs`, to be filled in."""
    return json.loads((GRAPHS / f"{name}.json").read_text())


def build_workflow(
    prompt,
    negative_prompt="",
    model="flux1-schnell-fp8.safetensors",
    width=1024,
    height=1024,
    steps=4,
    cfg=1.0,
    seed=None,
    sampler_name="euler",
    scheduler="simple",
):
    """Return a prompt that makes an image from text with a checkpoint."""
    return {
        "checkpoint": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"text": prompt, "clip": ["checkpoint", 1]}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"text": negative_prompt, "clip": ["checkpoint", 1]}},
        "size": {"class_type": "EmptySD3LatentImage", "inputs": {"width": width, "height": height, "batch_size": 1}},
        "sampler": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["checkpoint", 0],
                "positive": ["positive", 0],
                "negative": ["negative", 0],
                "latent_image": ["size", 0],
                "seed": random_seed(seed),
                "steps": steps,
                "cfg": cfg,
                "sampler_name": sampler_name,
                "scheduler": scheduler,
                "denoise": 1.0,
            },
        },
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["checkpoint", 2]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["decode", 0], "filename_prefix": "image"}},
    }


def upload_image(image, name, port=None):
    """Send a PIL image to ComfyUI's input folder, and return its name there."""
    data = io.BytesIO()
    image.save(data, format="PNG")
    files = {"image": (f"{uuid.uuid4().hex}-{Path(name).stem}.png", data.getvalue(), "image/png")}
    response = requests.post(f"{_url(port)}/upload/image", files=files, timeout=60)
    response.raise_for_status()
    return response.json()["name"]


def execute_workflow(workflow, port=None, timeout=600):
    """Run a prompt, and return its files in the order of its nodes.

    Returns {"prompt_id": ..., "files": [{"filename", "node", "data"}, ...]}, with `data` as bytes.
    """
    response = requests.post(
        f"{_url(port)}/prompt", json={"prompt": workflow, "client_id": uuid.uuid4().hex}, timeout=60
    )
    if response.status_code == 400:
        raise ComfyUIError(_refusal(response.json()))
    response.raise_for_status()
    prompt_id = response.json()["prompt_id"]
    entry = _wait_for_history(prompt_id, port, time.time() + timeout)
    files = [
        {"filename": file["filename"], "node": node, "data": _view(file, port)}
        for node, output in entry["outputs"].items()
        for files in output.values()
        for file in files
        if isinstance(file, dict) and file.get("type") == "output"
    ]
    return {"prompt_id": prompt_id, "files": files}


def execute_comfyui_workflow(workflow, timeout=600):
    """Run a prompt on the ComfyUI of this container. The same as `execute_workflow`."""
    return execute_workflow(workflow, timeout=timeout)


def process_image_result(result):
    """Return the images of a result as base64: {"image": the first, "images": all}."""
    images = [base64.b64encode(file["data"]).decode() for file in result["files"]]
    if not images:
        raise ComfyUIError("the workflow has saved no image")
    return {"image": images[0], "images": images, "prompt_id": result["prompt_id"]}


def process_video_result(result):
    """Return the first video of a result as base64: {"video": ..., "filename": ...}."""
    for file in result["files"]:
        if file["filename"].endswith((".mp4", ".webm")):
            video = base64.b64encode(file["data"]).decode()
            return {"video": video, "filename": file["filename"], "prompt_id": result["prompt_id"]}
    raise ComfyUIError("the workflow has saved no video")


def _url(port):
    return f"http://localhost:{port or _port}"


def _wait_for_history(prompt_id, port, deadline):
    while time.time() < deadline:
        response = requests.get(f"{_url(port)}/history/{prompt_id}", timeout=30)
        response.raise_for_status()
        entry = response.json().get(prompt_id)
        if entry is not None:
            status = entry.get("status", {})
            if status.get("status_str") == "error":
                raise ComfyUIError(_failure(status))
            return entry
        time.sleep(POLL_S)
    requests.post(f"{_url(port)}/interrupt", json={"prompt_id": prompt_id}, timeout=30)
    raise TimeoutError(f"prompt {prompt_id} has not ended in time")


def _view(file, port):
    query = {key: file[key] for key in ("filename", "subfolder", "type")}
    response = requests.get(f"{_url(port)}/view", params=query, timeout=120)
    response.raise_for_status()
    return response.content


def _refusal(body):
    errors = [
        f"node {node}: {error['message']} ({error['details']})"
        for node, found in body.get("node_errors", {}).items()
        for error in found["errors"]
    ]
    return "; ".join(errors) or body["error"]["message"]


def _failure(status):
    for name, data in status.get("messages", []):
        if name == "execution_error":
            return f"{data['node_type']} (node {data['node_id']}): {data['exception_message']}"
    return "the prompt has failed"

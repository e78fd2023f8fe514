"""What the demo sends: the workflows of a folder, made to fit the engine that is there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from worker.cli.client.workflow_file import prompt_in
from worker.cli.output.failure import Failure
from worker.engine.protocol.api import ComfyApi
from worker.errors import CannotConvert, EngineUnavailable, PromptError
from worker.load.workload import workload
from worker.workflow.embedded_metadata import extract_workflow
from worker.workflow.json_value import Json
from worker.workflow.prompt import RANDOM_INTEGER, Node, Prompt
from worker.workflow.templates.library import SHIPPED_FOLDER

LOADER, CHECKPOINT = "CheckpointLoaderSimple", "ckpt_name"
SENT = ("sd15-res4lyf", "smoke-resize")
"""Those of the shipped workflows that need nothing but a checkpoint."""
SMALL, FEW = 64, 2
"""Pixels and steps for a ComfyUI without a GPU, where a 512x512 picture takes half an hour."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What there is to fit a workflow to. No checkpoints: any name will do."""

    name: str
    checkpoints: Sequence[str] = ()
    slow: bool = False


EMBEDDED = EngineFacts("embedded engines, at the pace of a mid-range GPU")


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """One workflow in one shape; `workload` is what Vast's client calls cost."""

    workflow: str
    shape: str
    payload: Mapping[str, Any]
    workload: float


async def look(url: str) -> EngineFacts:
    """Ask a running ComfyUI. Raises Failure where it isn't one, or has no checkpoint."""
    async with aiohttp.ClientSession() as session:
        api = ComfyApi(session, url)
        try:
            info, catalog = await api.info(), await api.catalog()
        except (EngineUnavailable, KeyError, TypeError) as error:
            raise Failure("engine_unavailable", f"no ComfyUI answers at {url}: {error}") from error
    specs = catalog[LOADER].inputs if LOADER in catalog else ()
    found = [name for spec in specs if spec.name == CHECKPOINT for name in spec.options or () if isinstance(name, str)]
    if not found:
        raise Failure("no_checkpoint", f"the ComfyUI at {url} has no checkpoint: put one into models/checkpoints")
    return EngineFacts(f"ComfyUI {info.version} at {url} ({info.device})", found, slow=info.device == "cpu")


def read_workflows(chosen: Path | None) -> dict[str, Prompt]:
    """By name, in order: all of a folder, or those of ours that are SENT. Raises Failure."""
    folder = chosen or SHIPPED_FOLDER
    paths = [path for path in sorted(folder.glob("*.json")) if chosen or path.stem in SENT]
    try:
        found = {path.stem: prompt_in(extract_workflow(path.read_bytes())) for path in paths}
    except (OSError, CannotConvert, PromptError) as error:
        raise Failure("bad_workflow", f"a workflow in {folder} can't be read: {error}") from error
    if not found:
        raise Failure("no_workflows", f"there is no workflow in {folder}: name their folder with --workflows")
    return found


def requests(workflows: Mapping[str, Prompt], times: int = 1) -> Iterator[DemoRequest]:
    """Each workflow in our shape and in that of Vast's stock template, so many times."""
    for name, prompt in [*workflows.items()] * times:
        work = workload(prompt)
        yield DemoRequest(name, "native", {"workflow": fresh(prompt)}, work)
        stock = {"workflow_json": fresh(prompt), "return_outputs_as_base64": True}
        yield DemoRequest(name, "stock", {"input": stock}, work)


def fit(prompt: Prompt, engine: EngineFacts) -> Prompt:
    """With a checkpoint that is there and, for a slow engine, a small picture of few steps."""
    return {node_id: _with(node, _fitted(node, engine)) for node_id, node in prompt.items()}


def fresh(prompt: Prompt) -> Prompt:
    """With seeds drawn by the worker and a colour of its own, so that nothing is answered from ComfyUI's cache."""
    drawn: dict[str, Json] = {"seed": RANDOM_INTEGER, "color": secrets.randbelow(1 << 24)}
    return {
        node_id: _with(
            node, {name: value for name, value in drawn.items() if isinstance(node["inputs"].get(name), int)}
        )
        for node_id, node in prompt.items()
    }


def _fitted(node: Node, engine: EngineFacts) -> dict[str, Json]:
    inputs = node["inputs"]
    changed: dict[str, Json] = {}
    if node["class_type"] == LOADER and engine.checkpoints and inputs.get(CHECKPOINT) not in engine.checkpoints:
        changed[CHECKPOINT] = engine.checkpoints[0]
    if engine.slow and "Latent" in node["class_type"]:
        changed |= {name: SMALL for name in ("width", "height") if name in inputs}
    if engine.slow and isinstance(inputs.get("steps"), int):
        changed["steps"] = FEW
    return changed


def _with(node: Node, changed: Mapping[str, Json]) -> Node:
    copy = node.copy()
    copy["inputs"] = {**node["inputs"], **changed}
    return copy

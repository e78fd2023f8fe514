"""The requests of the demo: workflows of a folder, changed so that the engine at hand can run them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from worker.cli.output.failure import Failure
from worker.engine.protocol.api import ComfyApi
from worker.errors import CannotConvert, EngineUnavailable, PromptError
from worker.intake.request_cost import prompt_in
from worker.load.workload import workload
from worker.workflow.embedded_metadata import extract_workflow
from worker.workflow.json_value import Json
from worker.workflow.prompt import RANDOM_INTEGER, Node, Prompt
from worker.workflow.templates.library import SHIPPED_FOLDER

LOADER, CHECKPOINT = "CheckpointLoaderSimple", "ckpt_name"
SHIPPED = ("sd15-res4lyf", "smoke-resize")
"""The shipped workflows that need no other model than a checkpoint."""
SLOW_PIXELS, SLOW_STEPS = 64, 2
"""Image size and steps for a ComfyUI without a GPU, where a 512x512 image takes half an hour."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine that the workflows have to fit. Without checkpoints any checkpoint name works."""

    name: str
    checkpoints: Sequence[str] = ()
    slow: bool = False


EMBEDDED = EngineFacts("embedded engines, at the pace of a mid-range GPU")


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """One workflow as the body of a request. `shape` is `native`, or `stock` for the body of Vast's own template.

    `workload` is the number that Vast's client calls cost.
    """

    workflow: str
    shape: str
    payload: Mapping[str, Any]
    workload: float


async def inspect_engine(url: str) -> EngineFacts:
    """Return the facts of a running ComfyUI. Raises Failure when none responds, or when it has no checkpoint."""
    async with aiohttp.ClientSession() as session:
        api = ComfyApi(session, url)
        try:
            info, catalog = await api.info(), await api.catalog()
        except (EngineUnavailable, KeyError, TypeError) as error:
            raise Failure("engine_unavailable", f"no ComfyUI responds at {url}: {error}") from error
    specs = catalog[LOADER].inputs if LOADER in catalog else ()
    options = next((spec.options or () for spec in specs if spec.name == CHECKPOINT), ())
    checkpoints = [option for option in options if isinstance(option, str)]
    if not checkpoints:
        raise Failure("no_checkpoint", f"the ComfyUI at {url} has no checkpoint in models/checkpoints")
    return EngineFacts(f"ComfyUI {info.version} at {url} ({info.device})", checkpoints, slow=info.device == "cpu")


def read_workflows(custom_folder: Path | None) -> dict[str, Prompt]:
    """Return the workflows of a folder, by the names of their files. Without a folder, return those of SHIPPED.

    Raises Failure when a file is not a workflow, and when there is none.
    """
    folder = custom_folder or SHIPPED_FOLDER
    paths = [path for path in sorted(folder.glob("*.json")) if custom_folder or path.stem in SHIPPED]
    try:
        prompts = {path.stem: prompt_in(extract_workflow(path.read_bytes())) for path in paths}
    except (OSError, CannotConvert, PromptError) as error:
        raise Failure("bad_workflow", f"a workflow in {folder} cannot be read: {error}") from error
    if not prompts:
        raise Failure("no_workflows", f"there is no workflow in {folder}")
    return prompts


def requests(workflows: Mapping[str, Prompt], times: int = 1) -> Iterator[DemoRequest]:
    """Yield two requests for each workflow, in the native and in the stock shape, and all of them `times` times."""
    for name, prompt in [*workflows.items()] * times:
        cost = workload(prompt)
        yield DemoRequest(name, "native", {"workflow": with_new_seeds(prompt)}, cost)
        stock = {"workflow_json": with_new_seeds(prompt), "return_outputs_as_base64": True}
        yield DemoRequest(name, "stock", {"input": stock}, cost)


def fit_to_engine(prompt: Prompt, engine: EngineFacts) -> Prompt:
    """Return the prompt with a checkpoint that the engine has. For a slow engine, images are small and steps few."""
    return {node_id: _with_inputs(node, _engine_inputs(node, engine)) for node_id, node in prompt.items()}


def with_new_seeds(prompt: Prompt) -> Prompt:
    """Return the prompt with a placeholder for each seed and with random colours, so that no result is cached.

    The worker draws a seed in place of RANDOM_INTEGER.
    """
    random_values: dict[str, Json] = {"seed": RANDOM_INTEGER, "color": secrets.randbelow(1 << 24)}
    changed = {}
    for node_id, node in prompt.items():
        # Only values are replaced: an input that is a link to another node is not an integer.
        inputs = {name: value for name, value in random_values.items() if isinstance(node["inputs"].get(name), int)}
        changed[node_id] = _with_inputs(node, inputs)
    return changed


def _engine_inputs(node: Node, engine: EngineFacts) -> dict[str, Json]:
    """Return new values for the inputs of a node that do not fit this engine, by input name."""
    inputs = node["inputs"]
    changed: dict[str, Json] = {}
    if node["class_type"] == LOADER and engine.checkpoints and inputs.get(CHECKPOINT) not in engine.checkpoints:
        changed[CHECKPOINT] = engine.checkpoints[0]
    if engine.slow and "Latent" in node["class_type"]:
        changed |= {name: SLOW_PIXELS for name in ("width", "height") if name in inputs}
    if engine.slow and isinstance(inputs.get("steps"), int):
        changed["steps"] = SLOW_STEPS
    return changed


def _with_inputs(node: Node, changed: Mapping[str, Json]) -> Node:
    """Return a copy of the node in which these inputs have these values."""
    copy = node.copy()
    copy["inputs"] = {**node["inputs"], **changed}
    return copy

"""Finds the model files that the nodes of a prompt load and use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.prompt import Node

_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf", ".onnx")
_FILE_INPUTS = frozenset({"ckpt_name", "unet_name", "model_name", "diffusion_model", "model_path"})
"""Inputs whose text names a model, with or without an extension."""
_ENCODER = re.compile(r"clip|text_encoder|t5")
_PRECISION = re.compile(r"fp8|int8|nf4|fp4|int4|gguf|q\d(?=[_.\-k])|fp32|bf16|fp16")


class Role(Enum):
    """What a model file is for."""

    MODEL = "model"
    ENCODER = "encoder"
    VAE = "vae"
    CONTROL = "control"
    LORA = "lora"
    CHECKPOINT = "checkpoint"
    """A file that holds a model, its text encoders and its VAE."""


_FOLLOWED = {
    Role.MODEL: re.compile(r"model|guider|unet|pipe|any|input|value|on_true|on_false"),
    Role.ENCODER: re.compile(r"clip|pipe|any|input|value|on_true|on_false"),
    Role.VAE: re.compile(r"vae|pipe|any|input|value|on_true|on_false"),
    Role.CONTROL: re.compile(r"control|model_patch|instantid|ipadapter|style_model"),
}


def role_of(input_name: str) -> Role:
    """Return what the file is for that an input with this name names."""
    if input_name == "ckpt_name":
        return Role.CHECKPOINT
    if "lora" in input_name:
        return Role.LORA
    if "vae" in input_name:
        return Role.VAE
    if "control" in input_name or "instantid" in input_name or "ipadapter" in input_name:
        return Role.CONTROL
    return Role.ENCODER if _ENCODER.search(input_name) else Role.MODEL


def files_named(node: Node) -> Iterator[tuple[Role, str]]:
    """Yield the model files that the inputs of a node name."""
    for name, value in node["inputs"].items():
        if isinstance(value, str) and (name in _FILE_INPUTS or value.endswith(_ENDINGS)) and len(value) < 500:
            yield role_of(name), value


def precision_of(file: str, weight_dtype: object = None) -> str:
    """Return the precision of a model by its loader's `weight_dtype` or the name of the file, or an empty text."""
    if isinstance(weight_dtype, str) and weight_dtype.startswith("fp8"):
        return "fp8"
    found = _PRECISION.search(file.casefold())
    if not found:
        return ""
    return "gguf" if found[0].startswith("q") else found[0]


class ModelFiles:
    """The model files that the nodes of one prompt use. Each loader is read once."""

    def __init__(self, graph: PromptGraph) -> None:
        self._graph = graph
        self._named: dict[str, list[tuple[Role, str]]] = {}

    def named(self, node_id: str) -> list[tuple[Role, str]]:
        """Return the files that a node names itself, with their roles."""
        if node_id not in self._named:
            self._named[node_id] = list(files_named(self._graph.prompt[node_id]))
        return self._named[node_id]

    def used(self, node_id: str, role: Role) -> list[tuple[str, str]]:
        """Return (loader, file) for each file of this role that a node receives, nearest first.

        For the model, LoRA files count too.
        """
        follows = _FOLLOWED[role]
        roles = {role, Role.CHECKPOINT, *([Role.LORA] if role is Role.MODEL else [])}
        loaders = self._graph.upstream(node_id, lambda name: follows.search(name) is not None)
        return [(loader, file) for loader in loaders for found, file in self.named(loader) if found in roles]

"""Finds the model files that the nodes of a prompt load and use."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from worker.load.features.prompt_graph import PromptGraph
from worker.workflow.json_value import Json

_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf", ".onnx")
_NAMES_MODEL = frozenset({"ckpt_name", "unet_name", "model_name", "diffusion_model", "model_path", "vae_name"})
"""Inputs whose text names a model, with or without an extension."""
LONGEST = 500
"""Length above which a text is no file name."""
_ANY_ROLE = frozenset({"name", "model", "model_name"})
_PRECISION = re.compile(
    r"svdq|nunchaku|nvfp4|mxfp8|fp8_scaled|fp8|int8_convrot|int8|nf4|int4|fp32|bf16|fp16|gguf|[_.-]q\d(?=[_.\-k])"
)


class Role(Enum):
    """What a model file is for. A checkpoint holds a model, its text encoders and its VAE."""

    MODEL = "model"
    ENCODER = "encoder"
    VAE = "vae"
    CONTROL = "control"
    LORA = "lora"
    UPSCALER = "upscaler"
    CHECKPOINT = "checkpoint"


_ROLES = (
    (Role.LORA, re.compile(r"lora")),
    (Role.VAE, re.compile(r"vae")),
    (Role.CONTROL, re.compile(r"control|instantid|ipadapter|modelpatch")),
    (Role.ENCODER, re.compile(r"clip|text_?encoder|t5")),
)


class NamedFile(NamedTuple):
    """A model file that the input of a loader names."""

    role: Role
    file: str
    loader: str
    """Id of the node."""


_PASSED_ON = r"|^(pipe|any|anything|input|value|on_true|on_false)"
"""Inputs of reroutes, switches and pipes, which pass on whatever they receive."""
_FOLLOWED = {
    Role.MODEL: re.compile(r"model(?!_patch)|guider|unet|dit" + _PASSED_ON),
    Role.ENCODER: re.compile(r"clip(?!_vision)|text_encoder|t5" + _PASSED_ON),
    Role.VAE: re.compile(r"vae" + _PASSED_ON),
    Role.CONTROL: re.compile(r"control|model_patch|instantid|ipadapter|positive|conditioning|model|guider"),
    Role.UPSCALER: re.compile(r"upscale_model|interp_model"),
}
_BRINGS = {
    Role.MODEL: frozenset({Role.MODEL, Role.CHECKPOINT, Role.LORA}),
    Role.ENCODER: frozenset({Role.ENCODER, Role.CHECKPOINT}),
    Role.VAE: frozenset({Role.VAE, Role.CHECKPOINT}),
    Role.CONTROL: frozenset({Role.CONTROL}),
    Role.UPSCALER: frozenset({Role.MODEL}),
}
"""Roles of the files that count when a node uses a file of this role."""


@lru_cache(maxsize=2048)
def follows(role: Role, input_name: str) -> bool:
    """Return whether an input of this name may receive what a file of this role contains."""
    return _FOLLOWED[role].search(input_name) is not None


_FOLLOWERS: dict[Role, Callable[[str], bool]] = {
    role: (lambda name, role=role: follows(role, name))  # type: ignore[misc]
    for role in _FOLLOWED
}


@lru_cache(maxsize=2048)
def role_of(class_type: str, input_name: str) -> Role:
    """Return what the file is for that an input of this name names. The class decides for an input such as "name"."""
    if input_name == "ckpt_name":
        return Role.CHECKPOINT
    name = class_type.casefold() if input_name in _ANY_ROLE else input_name
    return next((role for role, pattern in _ROLES if pattern.search(name)), Role.MODEL)


@lru_cache(maxsize=2048)
def precision_of(file: str, weight_dtype: Json = None) -> str:
    """Return the precision of a model by its loader's `weight_dtype` or the name of the file, or an empty text."""
    if isinstance(weight_dtype, str) and weight_dtype.startswith("fp8"):
        return "fp8_fast" if weight_dtype.endswith("fast") else "fp8"
    found = _PRECISION.search(file.casefold())
    if not found:
        return ""
    return "gguf" if found[0][0] in "_.-" else "svdq" if found[0] == "nunchaku" else found[0]


def _is_file(class_type: str, input_name: str, value: str) -> bool:
    """Return whether a text names a model file. Some packs use a name such as ".use_ckpt_vae" for no file."""
    is_name = input_name in _NAMES_MODEL or value.endswith(_ENDINGS) or (input_name == "model" and "Load" in class_type)
    return is_name and len(value) < LONGEST and not value.startswith(".")


class UsedFiles:
    """The model files that the nodes of one prompt use. Each loader is read once."""

    def __init__(self, graph: PromptGraph) -> None:
        self._graph = graph
        self._named = {node_id: self._read(node_id) for node_id in graph.prompt}
        self._used: dict[tuple[str, Role], list[NamedFile]] = {}

    def named(self, node_id: str) -> list[NamedFile]:
        """Return the files that a node names itself, with their roles."""
        return self._named[node_id]

    def used(self, node_id: str, role: Role) -> list[NamedFile]:
        """Return the files of this role that a node receives, the nearest loader first.

        The files of a model include its LoRAs.
        """
        if (node_id, role) not in self._used:
            loaders = self._graph.upstream(node_id, _FOLLOWERS[role])
            brings = _BRINGS[role]
            self._used[node_id, role] = [
                named for loader in loaders for named in self._named[loader] if named.role in brings
            ]
        return self._used[node_id, role]

    def names(self, node_id: str, role: Role) -> tuple[str, ...]:
        """Return the names of the files of this role that a node receives, each once."""
        return tuple(dict.fromkeys(named.file for named in self.used(node_id, role)))

    def _read(self, node_id: str) -> list[NamedFile]:
        """Return the files that the inputs of a node name."""
        node = self._graph.prompt[node_id]
        return [
            NamedFile(role_of(node["class_type"], name), value, node_id)
            for name, value in node["inputs"].items()
            if isinstance(value, str) and _is_file(node["class_type"], name, value)
        ]

"""The work of a prompt: what each node that will run costs, before anything is known about the machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NodeKind(StrEnum):
    """Kinds of nodes, by what determines their cost. A node of any other class is `OTHER`."""

    SAMPLER = "sampler"
    VAE_DECODE = "vae_decode"
    VAE_ENCODE = "vae_encode"
    TEXT_ENCODE = "text_encode"
    UPSCALE = "upscale_model"
    LOAD = "load_file"
    SAVE = "save"
    API = "api"
    """Runs on another machine. It takes time, but not the GPU's."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class NodeWork:
    """The features of one node that will run.

    `tflop` is the closed form's work for the GPU, in 10^12 floating-point operations. `fixed_s` are the seconds that
    any GPU needs: launches of kernels, and work of the CPU. `steps` are the steps that the node reports as progress, or
    0. `shape` names everything else that the cost depends on (size class, frames, batch, stages, passes, ControlNets).
    """

    node_id: str
    class_type: str
    kind: NodeKind = NodeKind.OTHER
    family: str = ""
    precision: str = ""
    shape: str = ""
    tflop: float = 0.0
    fixed_s: float = 0.0
    steps: float = 0.0
    models: tuple[str, ...] = ()
    """Names of the model files that must be in the GPU's memory while the node runs."""
    reads: tuple[str, ...] = ()
    """Names of the model files that the node itself reads from the disk, if it is a loader."""


@dataclass(frozen=True, slots=True)
class JobWork:
    """The nodes of a prompt that will run, in no particular order, and its cost in units.

    `units` are seconds on the reference GPU by the closed form: nothing learned, nothing loaded, nothing cached.
    `ancestry` maps the id of a node to a hash of everything that its result depends on. `model_bytes` are the sizes of
    the model files whose size is known.
    """

    nodes: tuple[NodeWork, ...]
    units: float
    ancestry: dict[str, bytes]
    model_bytes: dict[str, int]


NO_WORK = JobWork((), 0.0, {}, {})
"""The work of a prompt without nodes."""

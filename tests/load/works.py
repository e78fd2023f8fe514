"""Prompts and shortcuts for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.workflow.prompts import link, node, sampled, saved
from worker.load.node_work import NodeKind, NodeWork
from worker.load.work import job_work
from worker.workflow.prompt import Prompt

SHIPPED = {path.stem: json.loads(path.read_text()) for path in sorted(Path("workflows").glob("*.json"))}
"""The prompts of the shipped templates, by name."""


def works(prompt: Prompt, *kinds: NodeKind, **known: Any) -> list[NodeWork]:
    """Return the work of the nodes of these kinds. `known` are the other arguments of `job_work`."""
    return [each for each in job_work(prompt, **known).nodes if each.kind in kinds]


def sampler(prompt: Prompt, **known: Any) -> NodeWork:
    """Return the work of the only sampler."""
    (work,) = works(prompt, NodeKind.SAMPLER, **known)
    return work


def with_sampler(sigmas: Any = None, **changed: Any) -> Prompt:
    """Return a prompt with one sampler of this class and these inputs, on a latent of 512x512."""
    inputs: dict[str, Any] = {"model": link("4"), "latent_image": link("5")} | changed
    if sigmas:
        inputs["sigmas"] = link("7")
    prompt = sampled() | {"3": node(inputs.pop("class_type", "SomebodysSampler"), **inputs)}
    return prompt | {"7": sigmas} if sigmas else prompt


def with_model(file: str, steps: int = 20, **size: Any) -> Prompt:
    """Return a prompt whose sampler uses the model in this file, without a checkpoint."""
    prompt = sampled(steps, **size)
    prompt["4"] = node("UNETLoader", unet_name=file, weight_dtype="default")
    return prompt


def with_checkpoint(file: str, steps: int = 20, **size: Any) -> Prompt:
    """Return a prompt whose sampler uses this checkpoint."""
    prompt = sampled(steps, **size)
    prompt["4"]["inputs"]["ckpt_name"] = file
    return prompt


def upscaled(file: str, side: int = 512, class_type: str = "ImageUpscaleWithModel") -> Prompt:
    """Return a prompt that enlarges a picture with an upscale model."""
    return {
        "0": node("EmptyImage", width=side, height=side, batch_size=1, color=0),
        "1": node("UpscaleModelLoader", model_name=file),
        "2": node(class_type, upscale_model=link("1"), image=link("0")),
        "3": saved("2"),
    }

"""The prompts of the comparison: samplers, schedules, guiders, batches, and prompts that repeat parts of earlier ones.

All of them use one small checkpoint with random weights, and latents of 64x64 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt

MODEL = "random_sd15_small.safetensors"
NOT_SENT = frozenset({"dpm_adaptive", "legacy_rk"})
"""Samplers without a prompt: the first makes thousands of evaluations with random weights, the second needs CUDA."""
PARTIAL = "RES4LYF reports the steps of the whole schedule as the maximum, also if it runs a part of them"
LISTED = "the length of these sigmas depends on their values"


@dataclass(frozen=True, slots=True)
class LoadCase:
    """One prompt to compare. `reason` says why its number of steps cannot be known, or is empty."""

    group: str
    name: str
    prompt: Prompt
    reason: str = ""

    @property
    def classes(self) -> set[str]:
        """The classes of the prompt's nodes."""
        return {node["class_type"] for node in self.prompt.values()}


def load_cases(catalog: Catalog) -> Iterator[LoadCase]:
    """Yield all prompts whose classes are in the catalog, in the order in which they are sent."""
    cases = (*_samplers(catalog), *_schedules(), *_sigmas(), *_guiders(), *_res4lyf(), *_graphs(), *_repeats())
    for case in cases:
        if all(name in catalog for name in case.classes):
            yield case


def _node(class_type: str, **inputs: Json) -> Node:
    return {"class_type": class_type, "inputs": inputs}


def _prompt(sampler: Node, others: Prompt | None = None, batch: int = 1) -> Prompt:
    """Return a prompt in which a sampler gets the model, the conditionings and the latent that it does not name."""
    nodes: Prompt = {
        "model": _node("CheckpointLoaderSimple", ckpt_name=MODEL),
        "latent": _node("EmptyLatentImage", width=64, height=64, batch_size=batch),
        "positive": _node("CLIPTextEncode", text="a cat", clip=["model", 1]),
        "negative": _node("CLIPTextEncode", text="a dog", clip=["model", 1]),
    }
    return nodes | (others or {}) | {"sampler": sampler, "out": _node("PreviewAny", source=["sampler", 0])}


_LINKS: dict[str, Json] = {
    "model": ["model", 0],
    "positive": ["positive", 0],
    "negative": ["negative", 0],
    "latent_image": ["latent", 0],
}


def _ksampler(**inputs: Json) -> Node:
    defaults: dict[str, Json] = {
        "seed": 1,
        "steps": 3,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    return _node("KSampler", **_LINKS | defaults | inputs)


def _advanced(start: int, end: int, **inputs: Json) -> Node:
    defaults: dict[str, Json] = {
        "add_noise": "enable",
        "noise_seed": 1,
        "steps": 6,
        "cfg": 1.0,
        "sampler_name": "euler",
    }
    part: dict[str, Json] = {
        "start_at_step": start,
        "end_at_step": end,
        "return_with_leftover_noise": "enable",
        "scheduler": "simple",
    }
    return _node("KSamplerAdvanced", **_LINKS | defaults | part | inputs)


def _custom(**inputs: Json) -> Node:
    defaults: dict[str, Json] = {
        "add_noise": True,
        "noise_seed": 1,
        "cfg": 1.0,
        "sampler": ["euler", 0],
        "sigmas": ["sigmas", 0],
    }
    return _node("SamplerCustom", **_LINKS | defaults | inputs)


def _clown(**inputs: Json) -> Node:
    schedule: dict[str, Json] = {
        "steps": 5,
        "steps_to_run": -1,
        "scheduler": "beta57",
        "denoise": 1.0,
        "seed": 1,
        "eta": 0.0,
    }
    others: dict[str, Json] = {
        "cfg": 1.0,
        "sampler_mode": "standard",
        "bongmath": True,
        "sampler_name": "exponential/res_2s",
    }
    return _node("ClownsharKSampler_Beta", **_LINKS | schedule | others | inputs)


def _samplers(catalog: Catalog) -> Iterator[LoadCase]:
    """Yield a prompt for each sampler of the KSampler node, whatever packs have added."""
    names = catalog["KSampler"].by_name["sampler_name"].options if "KSampler" in catalog else None
    for name in names or ():
        if name not in NOT_SENT:
            yield LoadCase("samplers", str(name), _prompt(_ksampler(sampler_name=name, steps=2)))


def _schedules() -> Iterator[LoadCase]:
    """Yield prompts that run all or a part of a schedule."""
    for scheduler in ("normal", "karras", "exponential", "sgm_uniform", "simple", "beta", "linear_quadratic"):
        yield LoadCase("schedules", scheduler, _prompt(_ksampler(scheduler=scheduler, steps=5, cfg=1.0)))
    for denoise in (0.0, 0.2, 0.5, 0.99):
        yield LoadCase("schedules", f"denoise {denoise}", _prompt(_ksampler(denoise=denoise, steps=5)))
    for start, end in ((0, 10000), (0, 2), (2, 10000), (2, 5), (5, 5), (5, 2), (6, 10000)):
        yield LoadCase("schedules", f"steps {start} to {end}", _prompt(_advanced(start, end)))
    stages = {"first": _advanced(0, 2)}
    second = _advanced(2, 10000, add_noise="disable", latent_image=["first", 0])
    yield LoadCase("schedules", "two samplers, one after the other", _prompt(second, stages))
    linked = {"count": _node("PrimitiveInt", value=4)}
    yield LoadCase("schedules", "steps from another node", _prompt(_ksampler(steps=["count", 0]), linked))


def _sigmas() -> Iterator[LoadCase]:
    """Yield prompts whose steps follow from their sigmas."""
    basic = _node("BasicScheduler", model=["model", 0], scheduler="simple", steps=6, denoise=1.0)
    nodes = {"basic": basic, "euler": _node("KSamplerSelect", sampler_name="euler")}
    split = nodes | {"sigmas": _node("SplitSigmas", sigmas=["basic", 0], step=2)}
    by_denoise = nodes | {"sigmas": _node("SplitSigmasDenoise", sigmas=["basic", 0], denoise=0.4)}
    for slot, half in enumerate(("high", "low")):
        yield LoadCase("sigmas", f"SplitSigmas, {half}", _prompt(_custom(sigmas=["sigmas", slot]), split))
        yield LoadCase("sigmas", f"SplitSigmasDenoise, {half}", _prompt(_custom(sigmas=["sigmas", slot]), by_denoise))
    changes = {
        "FlipSigmas": _node("FlipSigmas", sigmas=["basic", 0]),
        "SetFirstSigma": _node("SetFirstSigma", sigmas=["basic", 0], sigma=9.0),
        "ManualSigmas": _node("ManualSigmas", sigmas="14.6, 7.0, 3.1, 1.0, 0.0"),
        "KarrasScheduler": _node("KarrasScheduler", steps=4, sigma_max=14.6, sigma_min=0.03, rho=7.0),
        "BasicScheduler, denoise 0.5": basic | {"inputs": basic["inputs"] | {"denoise": 0.5}},
        "AlignYourStepsScheduler": _node("AlignYourStepsScheduler", model_type="SD1", steps=10, denoise=0.5),
        "Sigmas Mult": _node("Sigmas Mult", sigmas=["basic", 0], multiplier=0.9),
    }
    for name, sigmas in changes.items():
        yield LoadCase("sigmas", name, _prompt(_custom(), nodes | {"sigmas": sigmas}))
    cut = {"sigmas": _node("Sigmas Split Value", sigmas=["basic", 0], split_value=5.0, bias_split_up=True)}
    yield LoadCase("sigmas", "Sigmas Split Value", _prompt(_custom(), nodes | cut), LISTED)


def _guiders() -> Iterator[LoadCase]:
    """Yield prompts whose sampler gets its model from a guider."""
    shared = {
        "euler": _node("KSamplerSelect", sampler_name="heun"),
        "sigmas": _node("BasicScheduler", model=["model", 0], scheduler="simple", steps=4, denoise=1.0),
        "noise": _node("RandomNoise", noise_seed=1),
    }
    guiders = {
        "BasicGuider": _node("BasicGuider", model=["model", 0], conditioning=["positive", 0]),
        "CFGGuider": _node(
            "CFGGuider", model=["model", 0], positive=["positive", 0], negative=["negative", 0], cfg=3.0
        ),
    }
    for name, guider in guiders.items():
        links: dict[str, Json] = {
            "noise": ["noise", 0],
            "guider": ["guider", 0],
            "sampler": ["euler", 0],
            "sigmas": ["sigmas", 0],
        }
        sampler = _node("SamplerCustomAdvanced", **links, latent_image=["latent", 0])
        yield LoadCase("guiders", name, _prompt(sampler, shared | {"guider": guider}))


def _res4lyf() -> Iterator[LoadCase]:
    """Yield prompts with the samplers of RES4LYF."""
    for name in ("linear/euler", "exponential/res_2s", "multistep/res_3m", "fully_implicit/gauss-legendre_2s"):
        yield LoadCase("RES4LYF", name, _prompt(_clown(sampler_name=name)))
    yield LoadCase("RES4LYF", "denoise 0.5", _prompt(_clown(denoise=0.5)))
    yield LoadCase("RES4LYF", "a part of the steps", _prompt(_clown(steps_to_run=2)), PARTIAL)
    first = {"first": _clown(steps_to_run=2)}
    chain: dict[str, Json] = {
        "eta": 0.0,
        "sampler_name": "linear/euler",
        "steps_to_run": -1,
        "cfg": 1.0,
        "sampler_mode": "resample",
    }
    sampler = _node("ClownsharkChainsampler_Beta", **chain, bongmath=True, latent_image=["first", 0])
    yield LoadCase("RES4LYF", "a chain of samplers", _prompt(sampler, first), PARTIAL)
    nodes = {"clown": _node("ClownSampler_Beta", eta=0.0, sampler_name="linear/euler", seed=1, bongmath=True)}
    nodes["sigmas"] = _node("BasicScheduler", model=["model", 0], scheduler="simple", steps=3, denoise=1.0)
    yield LoadCase("RES4LYF", "ClownSampler_Beta", _prompt(_custom(sampler=["clown", 0]), nodes))


def _graphs() -> Iterator[LoadCase]:
    """Yield prompts with batches, lists, switches, and nodes that no output needs."""
    yield LoadCase("graphs", "a batch of 3", _prompt(_ksampler(), batch=3))
    parts = {"parts": _node("RebatchLatents", latents=["latent", 0], batch_size=1)}
    yield LoadCase("graphs", "a list of latents", _prompt(_ksampler(latent_image=["parts", 0]), parts, batch=2))
    unused = {"x": _ksampler(seed=5), "y": _node("EmptyImage", width=64, height=64, batch_size=1, color=0)}
    yield LoadCase("graphs", "nodes that no output needs", _prompt(_ksampler(seed=6), unused))
    for switch in (True, False):
        branches = {"a": _ksampler(seed=7), "b": _ksampler(seed=8, steps=2)}
        branches["chosen"] = _node("ComfySwitchNode", switch=switch, on_true=["a", 0], on_false=["b", 0])
        sampler = _ksampler(latent_image=["chosen", 0], denoise=0.5)
        yield LoadCase("graphs", f"a switch that is {switch}", _prompt(sampler, branches))
    equal = {"again": _ksampler(seed=9), "second": _node("PreviewAny", source=["again", 0])}
    yield LoadCase("graphs", "two equal samplers", _prompt(_ksampler(seed=9), equal))
    decoded = {"image": _node("VAEDecode", samples=["sampler", 0], vae=["model", 2])}
    decoded["picture"] = _node("PreviewAny", source=["image", 0])
    yield LoadCase("graphs", "a VAE", _prompt(_ksampler(seed=10), decoded))


def _repeats() -> Iterator[LoadCase]:
    """Yield prompts of which ComfyUI has computed a part before."""
    first = _prompt(_ksampler(seed=20))
    renamed = {f"n-{name}": node | {"inputs": _renamed(node["inputs"])} for name, node in first.items()}
    prompts = {
        "the first of a series": first,
        "the same again": first,
        "other ids": renamed,
        "whole numbers as 7 and 7.0": _prompt(_ksampler(seed=20, cfg=7, steps=3.0)),
        "another seed": _prompt(_ksampler(seed=21)),
        "another text": _prompt(_ksampler(seed=21))
        | {"positive": _node("CLIPTextEncode", text="b", clip=["model", 1])},
        "one without a model": {
            "image": _node("EmptyImage", width=64, height=64, batch_size=1, color=0),
            "out": _node("PreviewAny", source=["image", 0]),
        },
        "the first again": first,
    }
    for name, prompt in prompts.items():
        yield LoadCase("repeats", name, prompt)


def _renamed(inputs: Mapping[str, Json]) -> dict[str, Json]:
    """Return inputs with links to the nodes of new names."""
    return {name: [f"n-{value[0]}", value[1]] if isinstance(value, list) else value for name, value in inputs.items()}

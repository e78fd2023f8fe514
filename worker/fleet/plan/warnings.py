"""Warnings about a fleet that Vast would accept but that cannot work, such as one with too small a disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.fleet.definition.fleet import Fleet
from worker.workflow.templates.template import ModelFile, Template

GB = 1e9
GIB = 1024**3
IMAGE_GB = 6.8
"""Size of the unpacked image, as measured in docs/image.md."""
WORK_GB = 3.0
"""Space for outputs, inputs and the files of node packs."""
GPUS = (
    *("RTX 3060", "RTX 3060 Ti", "RTX 3070", "RTX 3070 Ti", "RTX 3080", "RTX 3080 Ti", "RTX 3090", "RTX 3090 Ti"),
    *("RTX 4060", "RTX 4060 Ti", "RTX 4070", "RTX 4070 Ti", "RTX 4070S", "RTX 4070S Ti", "RTX 4080", "RTX 4080S"),
    *("RTX 4090", "RTX 4090D", "RTX 5060", "RTX 5060 Ti", "RTX 5070", "RTX 5070 Ti", "RTX 5080", "RTX 5090"),
    *("RTX A4000", "RTX A4500", "RTX A5000", "RTX A6000", "RTX 4000Ada", "RTX 4500Ada", "RTX 5000Ada", "RTX 6000Ada"),
    *("RTX PRO 4000", "RTX PRO 4500", "RTX PRO 5000", "RTX PRO 6000 S", "RTX PRO 6000 WS"),
    *("L4", "L40", "L40S", "A10", "A40", "A100 PCIE", "A100 SXM4", "H100 PCIE", "H100 SXM", "H100 NVL"),
    *("H200", "H200 NVL", "B200", "Tesla T4", "Tesla V100"),
)
"""Some names of GPUs as Vast writes them. A warning is only given for another spelling of one of these."""
MAKERS = ("NVIDIA", "GEFORCE")
FAMILIES = {
    "A100": ("A100 PCIE", "A100 SXM4"),
    "H100": ("H100 PCIE", "H100 SXM", "H100 NVL"),
    "RTXPRO6000": ("RTX PRO 6000 S", "RTX PRO 6000 WS"),
    "T4": ("Tesla T4",),
    "V100": ("Tesla V100",),
}
"""Common names that stand for one or several of Vast's names."""
MEMORY = re.compile(r"\b\d+ ?GB?\b")


def warnings(fleet: Fleet, library: Mapping[str, Template]) -> Iterator[str]:
    """Yield a sentence for each problem, with its remedy. `library` has the sizes of the templates' models."""
    yield from _disk(fleet, library)
    yield from _workers(fleet)
    for name, group in fleet.groups.items():
        for gpu in group.gpus:
            if names := _vast_names(gpu):
                yield f"groups.{name}: no offer at Vast has a GPU called {gpu!r}; did you mean {' or '.join(names)}?"


@dataclass(frozen=True, slots=True)
class ModelsSize:
    """Total size in bytes of the model files with a known size, and the number of files with an unknown size."""

    size: int
    unknown: int

    @classmethod
    def of(cls, templates: Iterator[Template]) -> ModelsSize:
        """Return the size of all models of these templates, each file counted once."""
        files: dict[tuple[str, str], ModelFile] = {
            (file.folder, file.file): file for template in templates for file in template.models
        }
        sizes = [file.size for file in files.values()]
        return cls(sum(size or 0 for size in sizes), sizes.count(None))

    @property
    def gb(self) -> float:
        """Size in gigabytes (10^9 bytes)."""
        return self.size / GB

    def __str__(self) -> str:
        unknown = f" and {self.unknown} files of unknown size" if self.unknown else ""
        return f"{self.gb:.1f} GB of models{unknown}"


def _disk(fleet: Fleet, library: Mapping[str, Template]) -> Iterator[str]:
    """Yield the warnings about disk space and the quota for models."""
    env, disk = fleet.template.env, fleet.template.disk_gb
    names = [name for name in map(str.strip, env.get("WORKER_MODELS", "").split(",")) if name]
    has_own_templates = env.get("WORKER_TEMPLATES", "shipped") != "shipped"
    for name in names:
        if name not in library and not has_own_templates:
            yield f"template.env: WORKER_MODELS names {name!r}, but there is no such template here"
    pinned = ModelsSize.of(library[name] for name in names if name in library)
    quota = _number(env.get("WORKER_MODELS_QUOTA_GIB", "")) * GIB
    if pinned.gb + IMAGE_GB + WORK_GB > disk:
        minimum = f"{pinned.gb + IMAGE_GB + WORK_GB:.0f}"
        content = f"{pinned}, {IMAGE_GB:g} GB of the image and {WORK_GB:g} GB for outputs"
        yield f"template: disk_gb = {disk:g} is too small for {content}; set at least {minimum}"
    if quota and pinned.size > quota:
        yield (
            f"template.env: WORKER_MODELS_QUOTA_GIB is less than the {pinned} of WORKER_MODELS:"
            " no worker can become ready"
        )
    if env.get("WORKER_MODELS_ON_DEMAND", "").strip().lower() in {"1", "true", "yes", "on"}:
        yield from _on_demand(disk, quota, ModelsSize.of(iter(library.values())))


def _on_demand(disk: float, quota: float, all_models: ModelsSize) -> Iterator[str]:
    """Yield a warning when jobs may fetch more models than the disk can hold.

    `disk` is in GB (10^9 bytes). `quota` is in bytes, and 0 means no quota.
    """
    space = disk - IMAGE_GB - WORK_GB
    if not quota and all_models.gb > space:
        yield (
            f"template.env: the templates have {all_models}, and jobs may fetch all of them (WORKER_MODELS_ON_DEMAND)"
            f" onto a disk of {disk:g} GB: set WORKER_MODELS_QUOTA_GIB to at most {max(space, 0) * GB / GIB:.0f}"
        )
    elif quota / GB > space:
        yield f"template.env: WORKER_MODELS_QUOTA_GIB allows {quota / GB:.0f} GB on a disk of {disk:g} GB"


def _workers(fleet: Fleet) -> Iterator[str]:
    """Yield the warnings about numbers of workers that contradict each other."""
    endpoint = fleet.endpoint
    allowed = min(endpoint.max_workers, sum(group.max_workers for group in fleet.groups.values()))
    limit = "max_workers" if allowed == endpoint.max_workers else "the sum of the groups' max_workers"
    if endpoint.cold_workers > allowed:
        yield f"endpoint: cold_workers = {endpoint.cold_workers}, but {limit} is {allowed}, so no more are kept"
    if fleet.readiness.workers > allowed:
        required = fleet.readiness.workers
        yield f"readiness: workers = {required}, but {limit} is {allowed}, so every apply times out and rolls back"
    elif allowed < endpoint.max_workers:
        yield f"endpoint: max_workers = {endpoint.max_workers}, but {limit} is {allowed}"
    keeps_no_workers = not (endpoint.cold_workers or endpoint.min_load or endpoint.min_cold_load)
    if keeps_no_workers and endpoint.state == "active":
        yield "endpoint: cold_workers, min_load and min_cold_load are 0, so there is no worker to wait for without load"


def _vast_names(gpu: str) -> list[str]:
    """Return the quoted names that Vast uses for a GPU, if `gpu` is another spelling of it.

    Return an empty list for one of Vast's names and for an unknown GPU.
    """
    name = gpu.replace("_", " ")  # Vast treats blanks and underscores alike
    if name in GPUS:
        return []
    bare_name = _bare_name(name)
    names = FAMILIES.get(bare_name) or [gpu_name for gpu_name in GPUS if _bare_name(gpu_name) == bare_name]
    return [repr(gpu_name) for gpu_name in names]


def _bare_name(name: str) -> str:
    """Return a GPU's name in upper case without maker, memory size and blanks, with `RTX` before a bare number."""
    text = MEMORY.sub("", name.upper()).replace("SUPER", "S")
    for maker in MAKERS:
        text = text.replace(maker, "")
    letters = "".join(letter for letter in text if letter.isalnum())
    return f"RTX{letters}" if letters[:4].isdigit() else letters


def _number(text: str) -> float:
    """Return the number in a text, or 0 when it is negative or not a number."""
    try:
        return max(float(text), 0.0)
    except ValueError:
        return 0.0

"""Plans that Vast would take and that cannot work: a disk that is too small, workers that can never be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.fleet.definition.fleet import Fleet
from worker.workflow.templates.template import ModelFile, Template

GB = 1e9
GIB = 1024**3
IMAGE_GB = 6.8
"""Of the unpacked image; measured, docs/image.md."""
ROOM_GB = 3.0
"""For outputs, inputs and what node packs write beside them."""
GPUS = (
    *("RTX 3060", "RTX 3060 Ti", "RTX 3070", "RTX 3070 Ti", "RTX 3080", "RTX 3080 Ti", "RTX 3090", "RTX 3090 Ti"),
    *("RTX 4060", "RTX 4060 Ti", "RTX 4070", "RTX 4070 Ti", "RTX 4070S", "RTX 4070S Ti", "RTX 4080", "RTX 4080S"),
    *("RTX 4090", "RTX 4090D", "RTX 5060", "RTX 5060 Ti", "RTX 5070", "RTX 5070 Ti", "RTX 5080", "RTX 5090"),
    *("RTX A4000", "RTX A4500", "RTX A5000", "RTX A6000", "RTX 4000Ada", "RTX 4500Ada", "RTX 5000Ada", "RTX 6000Ada"),
    *("RTX PRO 4000", "RTX PRO 4500", "RTX PRO 5000", "RTX PRO 6000 S", "RTX PRO 6000 WS"),
    *("L4", "L40", "L40S", "A10", "A40", "A100 PCIE", "A100 SXM4", "H100 PCIE", "H100 SXM", "H100 NVL"),
    *("H200", "H200 NVL", "B200", "Tesla T4", "Tesla V100"),
)
"""Some names of GPUs as Vast has them. A name is doubted only where it is one of these in another spelling."""
MAKERS = ("NVIDIA", "GEFORCE")
FAMILIES = {
    "A100": ("A100 PCIE", "A100 SXM4"),
    "H100": ("H100 PCIE", "H100 SXM", "H100 NVL"),
    "RTXPRO6000": ("RTX PRO 6000 S", "RTX PRO 6000 WS"),
    "T4": ("Tesla T4",),
    "V100": ("Tesla V100",),
}
"""Names that others give to several of these, or without the first word."""
MEMORY = re.compile(r"\b\d+ ?GB?\b")


def warnings(fleet: Fleet, library: Mapping[str, Template]) -> Iterator[str]:
    """Yield a sentence for each thing, with its cure; `library` has the sizes of the templates' models."""
    yield from _disk(fleet, library)
    yield from _workers(fleet)
    for name, group in fleet.groups.items():
        for gpu in group.gpus:
            if meant := _meant(gpu):
                yield f"groups.{name}: no offer at Vast has a GPU called {gpu!r}; did you mean {' or '.join(meant)}?"


@dataclass(frozen=True, slots=True)
class ModelsSize:
    """`size` in bytes of the files whose size is known; `unknown` counts the others."""

    size: int
    unknown: int

    @classmethod
    def of(cls, templates: Iterator[Template]) -> ModelsSize:
        files: dict[tuple[str, str], ModelFile] = {
            (file.folder, file.file): file for template in templates for file in template.models
        }
        sizes = [file.size for file in files.values()]
        return cls(sum(size or 0 for size in sizes), sizes.count(None))

    @property
    def gb(self) -> float:
        return self.size / GB

    def __str__(self) -> str:
        more = f" and {self.unknown} files of unknown size" if self.unknown else ""
        return f"{self.gb:.1f} GB of models{more}"


def _disk(fleet: Fleet, library: Mapping[str, Template]) -> Iterator[str]:
    env, disk = fleet.template.env, fleet.template.disk_gb
    names = [name for part in env.get("WORKER_MODELS", "").split(",") if (name := part.strip())]
    own = env.get("WORKER_TEMPLATES", "shipped") != "shipped"
    for name in names:
        if name not in library and not own:
            yield f"template.env: WORKER_MODELS names {name!r}, and there is no such template here"
    pinned = ModelsSize.of(library[name] for name in names if name in library)
    quota = _number(env.get("WORKER_MODELS_QUOTA_GIB", "")) * GIB
    if pinned.gb + IMAGE_GB + ROOM_GB > disk:
        least = f"{pinned.gb + IMAGE_GB + ROOM_GB:.0f}"
        what = f"{pinned}, {IMAGE_GB:g} GB of the image and {ROOM_GB:g} GB for outputs"
        yield f"template: disk_gb = {disk:g} is too small for {what}: at least {least}"
    if quota and pinned.size > quota:
        yield f"template.env: WORKER_MODELS_QUOTA_GIB is less than the {pinned} of WORKER_MODELS: no worker gets ready"
    if env.get("WORKER_MODELS_ON_DEMAND", "").strip().lower() in {"1", "true", "yes", "on"}:
        yield from _on_demand(disk, quota, ModelsSize.of(iter(library.values())))


def _on_demand(disk: float, quota: float, every: ModelsSize) -> Iterator[str]:
    room = disk - IMAGE_GB - ROOM_GB
    if not quota and every.gb > room:
        yield (
            f"template.env: the templates have {every}, and jobs may fetch all of them (WORKER_MODELS_ON_DEMAND) onto a"
            f" disk of {disk:g} GB: set WORKER_MODELS_QUOTA_GIB to {max(room, 0) * GB / GIB:.0f} at most"
        )
    elif quota / GB > room:
        yield f"template.env: WORKER_MODELS_QUOTA_GIB allows {quota / GB:.0f} GB on a disk of {disk:g} GB"


def _workers(fleet: Fleet) -> Iterator[str]:
    endpoint = fleet.endpoint
    allowed = min(endpoint.max_workers, sum(group.max_workers for group in fleet.groups.values()))
    who = "max_workers" if allowed == endpoint.max_workers else "the groups' max_workers together"
    if endpoint.cold_workers > allowed:
        yield f"endpoint: cold_workers = {endpoint.cold_workers}, and {who} allow {allowed}: no more are ever kept"
    if fleet.readiness.workers > allowed:
        wanted = fleet.readiness.workers
        yield f"readiness: workers = {wanted}, and {who} allow {allowed}: an apply waits in vain and goes back"
    elif allowed < endpoint.max_workers:
        yield f"endpoint: max_workers = {endpoint.max_workers}, and {who} allow {allowed}"
    idle = not (endpoint.cold_workers or endpoint.min_load or endpoint.min_cold_load)
    if idle and endpoint.state == "active":
        yield "endpoint: cold_workers, min_load and min_cold_load are 0: without load there is no worker to wait for"


def _meant(gpu: str) -> list[str]:
    """Return the names that another spelling stands for; blanks and underscores are the same to Vast."""
    name = gpu.replace("_", " ")
    if name in GPUS:
        return []
    plain = _plain(name)
    names = FAMILIES.get(plain) or [known for known in GPUS if _plain(known) == plain]
    return [repr(known) for known in names]


def _plain(name: str) -> str:
    text = MEMORY.sub("", name.upper()).replace("SUPER", "S")
    for maker in MAKERS:
        text = text.replace(maker, "")
    letters = "".join(letter for letter in text if letter.isalnum())
    return letters if letters.startswith(("RTX", "TESLA")) or not letters[:4].isdigit() else f"RTX{letters}"


def _number(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return 0.0

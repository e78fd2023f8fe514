"""What a trial proves of an image: each pack, each class that is needed, each template. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.engine.process.import_log import PackImport, read_imports, tail
from worker.node_packs.pins import PinnedPack, Pins
from worker.node_packs.trial import Trial
from worker.workflow.templates.template import Library, Template
from worker.workflow.validation.explain import Problem

LATER = "needs a GPU to be imported: looked at when the worker starts"


class FindingState(StrEnum):
    """EXCUSED: nothing is proven, as was asked for. LEFT_OUT: it needs a pack that this image hasn't got."""

    PASSED = "passed"
    FAILED = "failed"
    EXCUSED = "excused"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class ImageFinding:
    """Of a pack, a template, or ComfyUI itself: what is so, in a phrase, and what there is to read about it."""

    kind: str
    name: str
    state: FindingState
    says: str
    details: tuple[str, ...] = ()


def installed_packs(pins: Pins, folders: Collection[str], record: Collection[str]) -> tuple[PinnedPack, ...]:
    """The pinned packs of an image: whose folder is in custom_nodes, or that were laid down for it."""
    return tuple(pack for pack in pins.packs if pack.name in folders or pack.name in record)


def runnable(library: Library, packs: Collection[PinnedPack]) -> tuple[Template, ...]:
    """The templates whose packs are all there."""
    names = {pack.name for pack in packs}
    return tuple(template for template in library.values() if names.issuperset(template.packs))


def check_image(trial: Trial, packs: Collection[PinnedPack], library: Library) -> list[ImageFinding]:
    """Everything that was looked at, in the order of the file and of the library."""
    imports = read_imports(trial.log)
    if trial.catalog is None:
        died = ImageFinding("engine", "ComfyUI", FindingState.FAILED, trial.died, tuple(tail(trial.log).splitlines()))
        return [died, *_others(imports, ())]
    classes = frozenset(trial.catalog)
    found = [ImageFinding("engine", "ComfyUI", FindingState.PASSED, f"{trial.version}, {len(classes)} node classes")]
    found += (_pack(pack, imports, classes) for pack in packs)
    found += _others(imports, packs)
    excused = {one.name for one in found if one.state is FindingState.EXCUSED}
    found += (_template(one, packs, excused, classes, trial.refused) for one in library.values())
    return found


def _pack(pack: PinnedPack, imports: Mapping[str, PackImport], classes: Collection[str]) -> ImageFinding:
    seen = imports.get(pack.name)
    missing = [name for name in pack.needs if name not in classes]
    if seen is not None and seen.imported and not missing:
        return ImageFinding("pack", pack.name, FindingState.PASSED, f"imported in {seen.seconds:g} s")
    why = f"is imported, but has no class {', '.join(missing)}"
    if seen is None:
        why = "ComfyUI says nothing of its import"
    elif not seen.imported:
        why = f"is not imported: {seen.cause}"
    if pack.gpu_import:
        return ImageFinding("pack", pack.name, FindingState.EXCUSED, f"{LATER} ({why})")
    return ImageFinding("pack", pack.name, FindingState.FAILED, why, tuple(seen.traceback.splitlines()) if seen else ())


def _others(imports: Mapping[str, PackImport], packs: Collection[PinnedPack]) -> Iterator[ImageFinding]:
    """What is not imported besides: ComfyUI's own nodes, and strangers in custom_nodes."""
    known = {pack.name for pack in packs}
    for one in imports.values():
        if not one.imported and one.name not in known:
            why = f"is not imported: {one.cause}".rstrip(": ")
            yield ImageFinding("pack", one.name, FindingState.FAILED, why, tuple(one.traceback.splitlines()))


def _template(
    template: Template,
    packs: Collection[PinnedPack],
    excused: Collection[str],
    classes: Collection[str],
    refused: Mapping[str, Collection[Problem]],
) -> ImageFinding:
    names = {pack.name for pack in packs}
    if absent := [pack for pack in template.packs if pack not in names]:
        return ImageFinding("template", template.name, FindingState.LEFT_OUT, f"needs {', '.join(absent)}")
    missing = sorted({node["class_type"] for node in template.prompt.values()}.difference(classes))
    if not missing and template.name not in refused:
        return ImageFinding("template", template.name, FindingState.PASSED, "accepted")
    if later := [pack for pack in template.packs if pack in excused]:
        return ImageFinding("template", template.name, FindingState.EXCUSED, f"needs {', '.join(later)}")
    if missing:
        return ImageFinding("template", template.name, FindingState.FAILED, f"there is no class {', '.join(missing)}")
    details = tuple(map(_problem, refused[template.name]))
    return ImageFinding("template", template.name, FindingState.FAILED, "is refused", details)


def _problem(problem: Problem) -> str:
    """`node 3 Sampler (KSampler), input scheduler: what is wrong`."""
    where = f"node {problem.node_id} {problem.node_title or ''} ({problem.class_type})" if problem.node_id else ""
    place = ", ".join(filter(None, (" ".join(where.split()), f"input {problem.input}" if problem.input else "")))
    return f"{place}: {problem.message}" if place else problem.message

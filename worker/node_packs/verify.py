"""Findings about an image from a trial: one for each pack and each template. There is no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.engine.process.import_log import PackImport, read_imports, tail
from worker.node_packs.pins import PinnedPack, Pins
from worker.node_packs.trial import Trial
from worker.workflow.templates.template import Library, Template
from worker.workflow.validation.explain import Problem

LATER = "needs a GPU to be imported, so the worker checks it at its start"


class FindingState(StrEnum):
    """State of a finding. EXCUSED means not verified because of `gpu-import`; LEFT_OUT means that a pack is missing."""

    PASSED = "passed"
    FAILED = "failed"
    EXCUSED = "excused"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class ImageFinding:
    """A finding about a pack, a template, or ComfyUI itself: `says` is the message in one line."""

    kind: str
    name: str
    state: FindingState
    says: str
    details: tuple[str, ...] = ()


def installed_packs(pins: Pins, folders: Collection[str], record: Collection[str]) -> tuple[PinnedPack, ...]:
    """Return the pinned packs that an image has: their folder is in custom_nodes, or the record of sources has them."""
    return tuple(pack for pack in pins.packs if pack.name in folders or pack.name in record)


def runnable(library: Library, packs: Collection[PinnedPack]) -> tuple[Template, ...]:
    """Return the templates whose packs are all installed."""
    names = {pack.name for pack in packs}
    return tuple(template for template in library.values() if names.issuperset(template.packs))


def check_image(trial: Trial, packs: Collection[PinnedPack], library: Library) -> list[ImageFinding]:
    """Return the findings of a trial: about ComfyUI, each of the installed `packs`, and each template.

    If ComfyUI did not respond, only its failure and the failed imports are returned.
    """
    imports = read_imports(trial.log)
    if trial.catalog is None:
        failed = ImageFinding(
            "engine", "ComfyUI", FindingState.FAILED, trial.failure, tuple(tail(trial.log).splitlines())
        )
        return [failed, *_other_import_findings(imports, ())]
    classes = frozenset(trial.catalog)
    findings = [ImageFinding("engine", "ComfyUI", FindingState.PASSED, f"{trial.version}, {len(classes)} node classes")]
    findings += (_pack_finding(pack, imports, classes) for pack in packs)
    findings += _other_import_findings(imports, packs)
    excused = {finding.name for finding in findings if finding.state is FindingState.EXCUSED}
    findings += (_template_finding(template, packs, excused, classes, trial.refused) for template in library.values())
    return findings


def _pack_finding(pack: PinnedPack, imports: Mapping[str, PackImport], classes: Collection[str]) -> ImageFinding:
    """Return the finding about a pinned pack. `imports` are those in ComfyUI's log by the packs' names.

    A failure is excused if the pack can only be imported with a GPU.
    """
    attempt = imports.get(pack.name)
    missing = [name for name in pack.needs if name not in classes]
    if attempt is None:
        reason = "ComfyUI's log does not mention its import"
    elif not attempt.imported:
        reason = f"is not imported: {attempt.cause}"
    elif missing:
        reason = f"is imported, but has no class {', '.join(missing)}"
    else:
        return ImageFinding("pack", pack.name, FindingState.PASSED, f"imported in {attempt.seconds:g} s")
    if pack.gpu_import:
        return ImageFinding("pack", pack.name, FindingState.EXCUSED, f"{LATER} ({reason})")
    details = tuple(attempt.traceback.splitlines()) if attempt else ()
    return ImageFinding("pack", pack.name, FindingState.FAILED, reason, details)


def _other_import_findings(imports: Mapping[str, PackImport], packs: Collection[PinnedPack]) -> Iterator[ImageFinding]:
    """Yield a finding for each failed import of ComfyUI's own nodes or of a pack that is not in `packs`."""
    pinned_names = {pack.name for pack in packs}
    for attempt in imports.values():
        if not attempt.imported and attempt.name not in pinned_names:
            reason = f"is not imported: {attempt.cause}".rstrip(": ")
            details = tuple(attempt.traceback.splitlines())
            yield ImageFinding("pack", attempt.name, FindingState.FAILED, reason, details)


def _template_finding(
    template: Template,
    packs: Collection[PinnedPack],
    excused: Collection[str],
    classes: Collection[str],
    refused: Mapping[str, Collection[Problem]],
) -> ImageFinding:
    """Return the finding about a template.

    `packs` are the installed packs. `excused` are the names of packs that can only be imported with a GPU, which excuse
    a failure. `classes` are ComfyUI's node classes, and `refused` has the problems of rejected templates by name.
    """
    installed = {pack.name for pack in packs}
    absent = [name for name in template.packs if name not in installed]
    if absent:
        return ImageFinding("template", template.name, FindingState.LEFT_OUT, f"needs {', '.join(absent)}")
    missing = sorted({node["class_type"] for node in template.prompt.values()}.difference(classes))
    if not missing and template.name not in refused:
        return ImageFinding("template", template.name, FindingState.PASSED, "accepted")
    needs_gpu = [name for name in template.packs if name in excused]
    if needs_gpu:
        return ImageFinding("template", template.name, FindingState.EXCUSED, f"needs {', '.join(needs_gpu)}")
    if missing:
        return ImageFinding("template", template.name, FindingState.FAILED, f"there is no class {', '.join(missing)}")
    details = tuple(map(_problem_line, refused[template.name]))
    return ImageFinding("template", template.name, FindingState.FAILED, "is rejected", details)


def _problem_line(problem: Problem) -> str:
    """Return a problem in one line, such as `node 3 Sampler (KSampler), input scheduler: MESSAGE`."""
    places = []
    if problem.node_id:
        title = f" {problem.node_title}" if problem.node_title else ""
        places.append(f"node {problem.node_id}{title} ({problem.class_type})")
    if problem.input:
        places.append(f"input {problem.input}")
    return f"{', '.join(places)}: {problem.message}" if places else problem.message

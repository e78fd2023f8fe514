"""`docs/compatibility.md`: per pack, the nodes tried, what was delivered, and every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from real.jobs import PackJobs
from real.passes import JobResult, RequestMode
from real.run import SuiteResult
from real.verdicts.page import differences, section

INTRODUCTION = """\
# Compatibility

Made by `make real COMFYUI=FOLDER`; do not edit. Each job is a workflow that a client would send. A worker starts the
ComfyUI of that folder and gets every job with its files inline, again with its files by URL, some twice more when
their results have expired, and on a fresh ComfyUI through Vast's own client. Inside ComfyUI a node pack without nodes
records ComfyUI's own events and the SHA-256 of every file in its output and temp folders before the worker hears of
them. Every delivered file is compared with these byte for byte, and every saved file has to be delivered. *Delivered*
counts the outputs of the inline requests."""
CONVERTED = """\
## Converted workflows

These are sent as ComfyUI's editor saves them, so that the worker converts them. What ran is compared with the prompt
that the real editor made of the same file, with the packs' scripts running (`editor` in `real/jobs/`)."""
NONE = "none"


def document(packs: Sequence[PackJobs], found: SuiteResult, facts: Sequence[tuple[str, str]]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _table(("", ""), [*facts, *_counts(found)])]
    parts.append(
        "## Packs\n\n" + _table(("pack", "jobs", "nodes tried", "delivered", "differences"), _packs(packs, found))
    )
    parts.append(
        CONVERTED
        + "\n\n"
        + _table(("pack", "workflow", "nodes that ran", "delivered", "differences"), _converted(found))
    )
    parts.append("## Differences\n\n" + "\n".join(_differences(found)))
    parts.append("## Verdicts\n\n" + section(found.verdicts))
    parts.append("## Known\n\n" + "\n".join(_notes(packs)))
    parts.append("## The embedded engine\n\n" + "\n".join(_twin(found)))
    parts += [f"## {pack.title}\n\n{_pack(pack, found)}" for pack in packs]
    return "\n\n".join(parts) + "\n"


def failures(found: SuiteResult) -> list[str]:
    """Everything that keeps the suite from passing, a line each."""
    lines = [
        f"{result.job.title} ({result.mode}): {sentence}" for result in found.results for sentence in result.differences
    ]
    lines += [f"left in ComfyUI's folders: {name}" for name in found.left]
    if found.routed != found.sent:
        lines.append(f"{found.sent} requests through Vast's client reached the worker {found.routed} times")
    lines += [f"verdict of {line}" for line in differences(found.verdicts)]
    unknown = [(job, sentence) for job, sentence in found.diverging if not job.twin]
    return lines + [f"{job.title} (beside the real ComfyUI): {sentence}" for job, sentence in unknown]


def _counts(found: SuiteResult) -> Iterator[tuple[str, str]]:
    sent = [result for result in found.results if not result.skipped]
    yield "requests", f"{len(sent)} in {found.seconds:.0f} s"
    runs = sum(len(result.log.runs) for result in sent)
    more = sum(max(0, len(result.log.runs) - 1) for result in sent)
    yield "runs in ComfyUI", f"{runs}, of which {more} were the savers of a request once more"
    yield "requests through Vast's client, and how often they reached the worker", f"{found.sent}, {found.routed}"
    yield "files left in ComfyUI's folders when all results had expired", str(len(found.left))
    yield "differences", str(len(failures(found)))


def _packs(packs: Iterable[PackJobs], found: SuiteResult) -> Iterator[Sequence[str]]:
    for pack in packs:
        results = _of(pack, found, RequestMode.INLINE)
        kinds = Counter(kind for result in results for _, kind in result.outputs)
        delivered = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        every = [result for result in found.results if result.job.pack == pack.title]
        bad = len({result.job.name for result in every if result.differences})
        yield pack.title, str(len(results)), str(len(tried(pack, found))), delivered or NONE, str(bad or NONE)


def _converted(found: SuiteResult) -> Iterator[Sequence[str]]:
    for result in found.results:
        job = result.job
        if job.converted and result.mode is RequestMode.INLINE and not result.skipped:
            name = job.name.removesuffix(", as the editor saves it")
            nodes = str(len(result.log.runs[0].prompt) if result.log.runs else 0)
            yield job.pack, name, nodes, _outputs(result), "; ".join(result.differences) or NONE


def tried(pack: PackJobs, found: SuiteResult) -> list[str]:
    """Classes of the pack that a job of the suite ran."""
    classes = {name for result in found.results if not result.skipped for name in result.job.classes}
    return sorted(name for name in classes if pack.has(found.classes.get(name, "custom_nodes.unknown")))


def _pack(pack: PackJobs, found: SuiteResult) -> str:
    lines = [f"Nodes tried: {', '.join(f'`{name}`' for name in tried(pack, found)) or NONE}."]
    results = _of(pack, found, RequestMode.INLINE)
    if results:
        rows = [(result.job.name, _outputs(result), "; ".join(result.differences) or NONE) for result in results]
        lines.append(_table(("job", "delivered", "differences"), rows))
    skipped = [(result.job.name, result.skipped) for result in found.results if result.mode is RequestMode.INLINE]
    skipped = [(name, reason) for name, reason in skipped if reason and name in {job.name for job in pack.jobs}]
    reasons = [*((f"`{name}`", reason) for name, reason in pack.not_tried.items()), *skipped]
    if reasons:
        lines.append(_table(("not tried", "why"), reasons))
    return "\n\n".join(lines)


def _of(pack: PackJobs, found: SuiteResult, mode: RequestMode) -> list[JobResult]:
    return [one for one in found.results if one.job.pack == pack.title and one.mode is mode and not one.skipped]


def _outputs(result: JobResult) -> str:
    counted = Counter(kind for _, kind in result.outputs)
    return ", ".join(f"{count} {kind}" for kind, count in counted.items()) or NONE


def _differences(found: SuiteResult) -> Iterator[str]:
    lines = [f"- {line}" for line in failures(found)]
    yield from lines or ["None."]


def _notes(packs: Iterable[PackJobs]) -> Iterator[str]:
    notes = [f"- {job.title}: {job.note}" for pack in packs for job in pack.jobs if job.note]
    yield from notes or ["Nothing."]


def _twin(found: SuiteResult) -> Iterator[str]:
    yield "The same bodies on the embedded engine with the real ComfyUI's catalog: what differs from the real log.\n"
    rows = [(job.title, sentence, job.twin) for job, sentence in found.diverging]
    yield _table(("job", "the embedded engine", "why"), rows) if rows else "Nothing."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

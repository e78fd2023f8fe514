"""The page `docs/compatibility.md`: for each pack the nodes tested, the outputs delivered, and every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from real.jobs import PackJobs
from real.load import page as load_page
from real.passes import JobResult, RequestMode
from real.run import SuiteResult
from real.verdicts.page import differences, section

INTRODUCTION = """\
# Compatibility

This page shows which node packs were tested with a real ComfyUI, which nodes, and what was delivered. It is the report
of `make real COMFYUI=FOLDER` and is overwritten by each full run, so do not edit it. To test another ComfyUI:

    make real COMFYUI=/path/to/ComfyUI

Each job is a workflow as a client would send it. A worker starts the ComfyUI of that folder and gets every job in
several ways: with its output files inline, with its output files by URL, and on a new ComfyUI through Vast's own
client. Some jobs are sent twice more after their results have expired. A node pack without nodes runs inside ComfyUI.
It records ComfyUI's events, and the SHA-256 of every file in the output and temp folders, before the worker reads the
files.

- Every delivered file must be equal, byte for byte, to a file that ComfyUI wrote.
- Every saved file must be delivered.
- The column *outputs* counts the outputs of the inline requests."""
CONVERTED = """\
## Converted workflows

These workflows are sent as ComfyUI's editor saves them, so the worker converts them to prompts. Each converted prompt
is compared with the prompt that the real editor made of the same file, with the scripts of the packs loaded (`editor`
in `real/jobs/`)."""
NOTES = "These jobs end in an unusual way, for the reason given."
EMBEDDED_ENGINE = """\
The same jobs were sent to a worker with the embedded engine, which had the real ComfyUI's catalog. The table lists what
differs from the real ComfyUI, with the reason."""
NONE = "none"


def compatibility_page(packs: Sequence[PackJobs], suite: SuiteResult, facts: Sequence[tuple[str, str]]) -> str:
    """Return the page as Markdown. `facts` are further rows of the table at its top."""
    pack_head = ("pack", "jobs", "nodes tested", "outputs", "jobs with differences")
    converted_head = ("pack", "workflow", "nodes that ran", "outputs", "differences")
    parts = [
        INTRODUCTION,
        _table(("fact", "value"), [*facts, *_counts(suite)]),
        "## Packs\n\n" + _table(pack_head, _pack_rows(packs, suite)),
        f"{CONVERTED}\n\n{_table(converted_head, _converted_rows(suite))}",
        "## Differences\n\n" + "\n".join(_difference_lines(suite)),
        "## Validation of prompts\n\n" + section(suite.verdicts),
        "## Predicted work\n\n" + load_page.section(suite.load),
        f"## Notes\n\n{NOTES}\n\n" + "\n".join(_notes(packs)),
        "## The embedded engine\n\n" + _embedded_engine(suite),
        *(f"## {pack.title}\n\n{_pack_section(pack, suite)}" for pack in packs),
    ]
    return "\n\n".join(parts) + "\n"


def failures(suite: SuiteResult) -> list[str]:
    """Return one line for each difference that fails the suite."""
    lines = [f"{result.job.title} ({result.mode}): {line}" for result in suite.results for line in result.differences]
    lines += [f"not removed from ComfyUI's folders: {name}" for name in suite.remaining_files]
    if suite.routed != suite.sent:
        lines.append(f"{suite.sent} requests through Vast's client reached the worker {suite.routed} times")
    lines += [f"validation of {line}" for line in differences(suite.verdicts)]
    lines += [f"predicted work of {line}" for line in load_page.differences(suite.load)]
    unexplained = [(job, line) for job, line in suite.diverging if not job.twin]
    return lines + [f"{job.title} (embedded engine): {line}" for job, line in unexplained]


def _counts(suite: SuiteResult) -> Iterator[tuple[str, str]]:
    """Yield the rows with the numbers of the whole run."""
    sent = [result for result in suite.results if not result.skipped]
    yield "requests", f"{len(sent)} in {suite.seconds:.0f} s"
    runs = sum(len(result.log.runs) for result in sent)
    second_runs = sum(max(0, len(result.log.runs) - 1) for result in sent)
    yield "prompts that ran in ComfyUI", f"{runs}, of which {second_runs} ran only the savers of a request again"
    yield "requests through Vast's client", str(suite.sent)
    yield "how often these reached the worker", str(suite.routed)
    yield "files left in ComfyUI's folders after all results had expired", str(len(suite.remaining_files))
    yield "differences", str(len(failures(suite)))


def _pack_rows(packs: Iterable[PackJobs], suite: SuiteResult) -> Iterator[Sequence[str]]:
    """Yield one row for each pack."""
    for pack in packs:
        results = _results_of(pack, suite, RequestMode.INLINE)
        kinds = Counter(kind for result in results for _, kind in result.outputs)
        outputs = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        all_results = [result for result in suite.results if result.job.pack == pack.title]
        differing = len({result.job.name for result in all_results if result.differences})
        node_count = len(tested_classes(pack, suite))
        yield pack.title, str(len(results)), str(node_count), outputs or NONE, str(differing or NONE)


def _converted_rows(suite: SuiteResult) -> Iterator[Sequence[str]]:
    """Yield one row for each converted workflow."""
    for result in suite.results:
        job = result.job
        if job.converted and result.mode is RequestMode.INLINE and not result.skipped:
            name = job.name.removesuffix(", as the editor saves it")
            nodes = str(len(result.log.runs[0].prompt) if result.log.runs else 0)
            yield job.pack, name, nodes, _outputs(result), "; ".join(result.differences) or NONE


def tested_classes(pack: PackJobs, suite: SuiteResult) -> list[str]:
    """Return the classes of the pack that at least one job used."""
    classes = {name for result in suite.results if not result.skipped for name in result.job.classes}
    return sorted(name for name in classes if pack.contains(suite.classes.get(name, "custom_nodes.unknown")))


def _pack_section(pack: PackJobs, suite: SuiteResult) -> str:
    """Return the section of one pack: the nodes tested, its jobs, and the nodes and jobs not tested."""
    names = ", ".join(f"`{name}`" for name in tested_classes(pack, suite))
    parts = [f"Nodes tested: {names or NONE}."]
    results = _results_of(pack, suite, RequestMode.INLINE)
    if results:
        rows = [(result.job.name, _outputs(result), "; ".join(result.differences) or NONE) for result in results]
        parts.append(_table(("job", "outputs", "differences"), rows))
    inline_results = [result for result in suite.results if result.mode is RequestMode.INLINE]
    names_of_jobs = {job.name for job in pack.jobs}
    skipped = [
        (result.job.name, result.skipped)
        for result in inline_results
        if result.skipped and result.job.name in names_of_jobs
    ]
    reasons = [*((f"`{name}`", reason) for name, reason in pack.not_tried.items()), *skipped]
    if reasons:
        parts.append(_table(("not tested", "reason"), reasons))
    return "\n\n".join(parts)


def _results_of(pack: PackJobs, suite: SuiteResult, mode: RequestMode) -> list[JobResult]:
    """Return the results of the pack's jobs in one mode, without skipped jobs."""
    results = [result for result in suite.results if result.job.pack == pack.title]
    return [result for result in results if result.mode is mode and not result.skipped]


def _outputs(result: JobResult) -> str:
    """Return the number of outputs of each kind, as text."""
    counts = Counter(kind for _, kind in result.outputs)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or NONE


def _difference_lines(suite: SuiteResult) -> Iterator[str]:
    """Yield the differences as a Markdown list."""
    lines = [f"- {line}" for line in failures(suite)]
    yield from lines or ["None."]


def _notes(packs: Iterable[PackJobs]) -> Iterator[str]:
    """Yield the notes of the jobs as a Markdown list."""
    notes = [f"- {job.title}: {job.note}" for pack in packs for job in pack.jobs if job.note]
    yield from notes or ["None."]


def _embedded_engine(suite: SuiteResult) -> str:
    """Return the section about the embedded engine."""
    rows = [(job.title, line, job.twin) for job, line in suite.diverging]
    return f"{EMBEDDED_ENGINE}\n\n" + (_table(("job", "the embedded engine", "reason"), rows) if rows else "None.")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def _cell(text: str) -> str:
    """Escape the text of a table cell."""
    return text.replace("|", "\\|").replace("\n", " ")

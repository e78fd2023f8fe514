"""One answer compared with what ComfyUI wrote and with what the job expects: a sentence a difference."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from PIL import Image

from real.engine_log import EngineLog, WrittenFile
from real.jobs import ExpectedOutput, RealJob

Contents = Mapping[tuple[str, str], set[str]]
"""Folder and path -> SHA-256 of everything that ComfyUI ever wrote there."""
MOST_RUNS = 2
DURATION_SLACK_S = 0.15


@dataclass(frozen=True, slots=True)
class DeliveredOutput:
    """One output of an answer: its fields as they were sent, and the bytes of its file, decoded or fetched."""

    fields: Mapping[str, Any]
    content: bytes | None

    @property
    def node(self) -> str:
        return str(self.fields["node_id"])

    @property
    def kind(self) -> str:
        return str(self.fields["kind"])

    @property
    def path(self) -> str:
        subfolder = self.fields.get("subfolder")
        return f"{subfolder}/{self.fields['filename']}" if subfolder else str(self.fields["filename"])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content or b"").hexdigest()


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """What came back for one request."""

    status: int
    body: Mapping[str, Any]
    outputs: Sequence[DeliveredOutput]

    @property
    def problems(self) -> list[Any]:
        return list(self.body.get("problems") or ())

    @property
    def error(self) -> str:
        """Code and message of an error answer."""
        error = self.body.get("error") or {}
        details = " ".join(str(detail.get("message")) for detail in error.get("details") or ())
        return f"{error.get('code')}: {error.get('message')} {details}".strip()


def differences(job: RealJob, answer: JobAnswer, log: EngineLog, contents: Contents) -> list[str]:
    """Everything that is not as it should be, a sentence each."""
    if job.fails:
        expected = answer.status == 422 and job.fails in answer.error
        return [] if expected else [f"answered {answer.status} {answer.error}, expected a failure: {job.fails}"]
    if answer.status != 200:
        return [f"answered {answer.status} {answer.error}"]
    return [
        *_kinds(job.expected, answer.outputs),
        *_facts(job.expected, answer.outputs),
        *changed_bytes(answer, log, contents),
        *_missing(job, answer.outputs, log),
        *_problems(job, answer),
    ]


def changed_bytes(answer: JobAnswer, log: EngineLog, contents: Contents) -> list[str]:
    """Files that are not, byte for byte, what the engine wrote."""
    return [sentence for output in answer.outputs for sentence in _bytes(output, log, contents)]


def repeats(job: RealJob, log: EngineLog, savers: Collection[str]) -> list[str]:
    """Nodes that ran twice in one request, beyond the savers (ids in `savers`) in one more run."""
    if len(log.runs) > MOST_RUNS:
        return [f"ran {len(log.runs)} times"]
    again = [node for run in log.runs[1:] for node in run.executed if node not in savers]
    return [f"executed again: {', '.join(again)}"] if again else []


def _kinds(expected: Sequence[ExpectedOutput], outputs: Sequence[DeliveredOutput]) -> Iterator[str]:
    due = Counter((one.node, one.kind) for one in expected)
    came = Counter((output.node, output.kind) for output in outputs)
    if missing := due - came:
        yield f"not delivered: {_counted(missing)}"
    if surplus := came - due:
        yield f"delivered beyond what is due: {_counted(surplus)}"


def _counted(counter: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {kind} of node {node}" for (node, kind), count in sorted(counter.items()))


def _facts(expected: Sequence[ExpectedOutput], outputs: Sequence[DeliveredOutput]) -> Iterator[str]:
    """In a node's own order: texts and batches have one."""
    taken: Counter[tuple[str, str]] = Counter()
    for one in expected:
        key = (one.node, one.kind)
        are_equivalent = [output for output in outputs if (output.node, output.kind) == key]
        place = taken[key]
        taken[key] += 1
        if place < len(are_equivalent):
            yield from _unlike(one, are_equivalent[place])


def _unlike(expected: ExpectedOutput, output: DeliveredOutput) -> Iterator[str]:
    for name, value in expected.facts.items():
        found = output.fields.get(name)
        close = name == "duration_s" and found is not None and abs(found - value) <= DURATION_SLACK_S
        if found != value and not close:
            yield f"node {output.node}: {name} is {found!r}, expected {value!r}"


def _bytes(output: DeliveredOutput, log: EngineLog, contents: Contents) -> Iterator[str]:
    """A file is one that ComfyUI has written under that name, byte for byte; a picture that was sent, by its pixels."""
    if output.content is None:
        return
    if output.fields.get("bytes") != len(output.content) or output.fields.get("sha256") != output.sha256:
        yield f"{output.path}: size or sha256 of the answer is not the file's"
    written = [sums for (_, path), sums in contents.items() if path == output.path]
    if any(output.sha256 in sums for sums in written):
        return
    if not written and _pixels(output) in log.pictures:
        return
    yield f"{output.path}: {'other bytes than' if written else 'not among the files that'} ComfyUI wrote"


def _pixels(output: DeliveredOutput) -> str:
    if output.kind != "image":
        return ""
    with Image.open(io.BytesIO(output.content or b"")) as picture:
        return hashlib.sha256(picture.tobytes()).hexdigest()


def _missing(job: RealJob, outputs: Sequence[DeliveredOutput], log: EngineLog) -> Iterator[str]:
    """Saved files that nobody got."""
    delivered = {output.path for output in outputs}
    for path in sorted({file.path for file in log.saved if _due(file, job)} - delivered):
        yield f"saved and not delivered: {path}"


def _due(file: WrittenFile, job: RealJob) -> bool:
    if file.model and not job.deliver_models:
        return False
    return not any(fnmatchcase(file.path, pattern) for pattern in job.companions)


def _problems(job: RealJob, answer: JobAnswer) -> Iterator[str]:
    if job.problem and not answer.problems:
        yield "nothing was delivered, and no problem says so" if not answer.outputs else "no problem is named"
    if answer.problems and not job.problem:
        yield f"names problems: {[problem.get('message') for problem in answer.problems]}"

"""Inputs that name outputs of earlier jobs: the kept files become files of the request, before anything runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from worker.errors import Detail, FileNotAllowed, InvalidField, InvalidInputFile, NotFound, OutputNotKept
from worker.inputs import KeptFile, SentFile
from worker.inputs.earlier_output import (
    OutputReference,
    has_reference,
    is_reference_text,
    parse_reference,
    with_reference_texts,
)
from worker.inputs.file_inputs import FileInput, file_inputs, texts
from worker.inputs.prepare import replace_texts
from worker.job import Job, JobRequest, Output
from worker.jobs.manager import JobManager
from worker.outputs.files import Outputs
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, is_link

MARK = "output"
"""Stands in every text that names one."""
CURE = "send the file itself, or run that job again"


@dataclass(frozen=True, slots=True)
class OutputResolver:
    """Finds the kept files of this worker's jobs for those who may open them at `GET /jobs/{id}/outputs/{n}`."""

    manager: JobManager
    outputs: Outputs

    async def resolve(
        self, request: JobRequest, principal: str, catalog: Catalog
    ) -> tuple[JobRequest, tuple[SentFile, ...]]:
        """Return the outputs that a request names as files of its own, and the request that names these files.

        A URL that leads to another machine stays. Raises OutputNotKept, InvalidInputFile, FileNotAllowed.
        """
        files: list[SentFile] = []
        urls = dict(request.urls)
        for name, text in request.urls.items():
            kept = await self._kept(text, request.base_url, principal, f"input {name!r}")
            if kept is not None:
                del urls[name]
                files.append(SentFile(name, kept[1]))
        taken = {*request.urls, *(file.name for file in request.inputs)}
        fresh = (stem for number in count() if (stem := f"earlier-output-{number}") not in taken)
        by_text: dict[str, str] = {}
        places = {place.key: place for place in file_inputs(request.prompt, catalog) if place.uploads}
        for place, text in _named(places):
            if text not in by_text:
                kept = await self._kept(text, request.base_url, principal, place.label)
                if kept is not None:
                    by_text[text] = next(fresh) + PurePosixPath(kept[0].filename).suffix
                    files.append(SentFile(by_text[text], kept[1]))
        prompt = _pointed(request.prompt, places, by_text) if by_text else request.prompt
        _check_no_other(prompt)
        return replace(request, urls=urls, prompt=prompt), tuple(files)

    async def _kept(self, text: str, base_url: str, principal: str, label: str) -> tuple[Output, KeptFile] | None:
        """The output that a text names; None for a text that names none of this worker's."""
        reference = parse_reference(text, base_url)
        if reference is None:
            return None
        try:
            job = self._job(reference, principal)
        except NotFound:
            if not reference.certain:
                return None
            why = f"no result of a job {reference.job_id!r} of yours is kept here; it may have expired"
            raise _not_kept(label, why) from None
        output = _output(job, reference, label)
        path = self.outputs.path(job, output)
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except OSError:
            raise _not_kept(label, f"output {output.index} of job {job.id!r} is not kept any more") from None
        return output, KeptFile(path, size, output.sha256)

    def _job(self, reference: OutputReference, principal: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for another's."""
        if reference.token:
            return self.manager.find(reference.job_id, reference.token)
        if not reference.certain:
            raise NotFound(f"no job {reference.job_id!r}")
        return self.manager.find_owned(reference.job_id, principal)


def may_reference_outputs(request: JobRequest) -> bool:
    """Whether any text of a request looks like an output of a job: most requests have none, and need no catalog."""
    everywhere = (text for node in request.prompt.values() for text in texts(node["inputs"]))
    return any(MARK in text and parse_reference(text, "") is not None for text in (*request.urls.values(), *everywhere))


def with_output_references(request: JobRequest) -> JobRequest:
    """Return the request with texts in place of the objects that name earlier outputs. Raises InvalidField."""
    try:
        return replace(request, prompt=prompt_with_output_references(request.prompt))
    except ValueError as error:
        raise InvalidField(str(error)) from None


def prompt_with_output_references(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return the prompt, which may be wrong in any way, with these texts. Raises ValueError."""
    changed = {node_id: _with_texts(node) for node_id, node in prompt.items() if _has_reference(node)}
    return {**prompt, **changed}


def _with_texts(node: dict[str, Any]) -> dict[str, Any]:
    inputs = node["inputs"].items()
    texts_of = {name: with_reference_texts(value) for name, value in inputs if has_reference(value)}
    return {**node, "inputs": {**node["inputs"], **texts_of}}


def _has_reference(node: object) -> bool:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return isinstance(inputs, dict) and any(
        isinstance(value, dict | list) and not is_link(value) and has_reference(value) for value in inputs.values()
    )


def _named(places: Mapping[tuple[str, str], FileInput]) -> Iterator[tuple[FileInput, str]]:
    for place in places.values():
        for text in texts(place.value):
            yield place, text


def _output(job: Job, reference: OutputReference, label: str) -> Output:
    index = reference.index
    output = next((found for found in job.outputs if found.index == index), None)
    if output is None and not job.state.ended:
        raise _not_kept(label, f"job {job.id!r} has not ended yet", "wait for its result")
    if output is None:
        has = f"it has {len(job.outputs)}" if job.outputs else f"it is {job.state.value} and has none"
        raise _not_kept(label, f"job {job.id!r} has no output {index}: {has}")
    if output.text is not None:
        message = f"{label}: output {index} of job {job.id!r} is {output.kind}, and has no file"
        raise InvalidInputFile(message, [Detail(message, input=label, suggestion="write its text into the workflow")])
    return output


def _not_kept(label: str, why: str, cure: str = CURE) -> OutputNotKept:
    return OutputNotKept(f"{label}: {why}", [Detail(why, input=label, suggestion=cure)])


def _pointed(prompt: Prompt, places: Mapping[tuple[str, str], FileInput], by_text: Mapping[str, str]) -> Prompt:
    return {
        node_id: {
            **node,
            "inputs": {
                name: replace_texts(value, dict(by_text)) if (node_id, name) in places else value
                for name, value in node["inputs"].items()
            },
        }
        for node_id, node in prompt.items()
    }


def _check_no_other(prompt: Prompt) -> None:
    """Raise FileNotAllowed where an input names an output that takes no file."""
    details = [
        Detail(
            f"{name!r} of node {node_id} ({node['class_type']}) names an output of a job, and takes no file",
            *(node_id, None, node["class_type"], name),
            "use a node that loads files",
        )
        for node_id, node in prompt.items()
        for name, value in node["inputs"].items()
        if any(map(is_reference_text, texts(value)))
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)

"""Inputs that name outputs of earlier jobs. The kept files become input files of the request."""

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

REFERENCE_WORD = "output"
"""Word that every reference to an output contains."""
REMEDY = "send the file itself, or run that job again"
"""Remedy in errors about outputs that are not kept."""


@dataclass(frozen=True, slots=True)
class _KeptOutput:
    """An output of an earlier job, and its file."""

    output: Output
    file: KeptFile


@dataclass(frozen=True, slots=True)
class OutputResolver:
    """Finds the outputs that requests reference.

    A caller may use the outputs that it can open at `GET /jobs/{id}/outputs/{n}`.
    """

    manager: JobManager
    outputs: Outputs

    async def resolve(
        self, request: JobRequest, principal: str, catalog: Catalog
    ) -> tuple[JobRequest, tuple[SentFile, ...]]:
        """Return the request with references replaced by names of files, and these files.

        A URL of another host does not change. Raises OutputNotKept, InvalidInputFile or FileNotAllowed.
        """
        urls, url_files = await self._resolve_urls(request, principal)
        inputs_by_key = {
            file_input.key: file_input
            for file_input in file_inputs(request.prompt, catalog)
            if file_input.accepts_upload
        }
        file_names, prompt_files = await self._resolve_prompt(request, principal, inputs_by_key)
        prompt = _with_file_names(request.prompt, inputs_by_key, file_names) if file_names else request.prompt
        _check_no_reference_left(prompt)
        return replace(request, urls=urls, prompt=prompt), (*url_files, *prompt_files)

    async def _resolve_urls(self, request: JobRequest, principal: str) -> tuple[dict[str, str], list[SentFile]]:
        """Return the URLs that do not reference an output of this worker, and the outputs that the others reference."""
        urls: dict[str, str] = {}
        files = []
        for name, url in request.urls.items():
            kept_output = await self._find_output(url, request.base_url, principal, f"input {name!r}")
            if kept_output is None:
                urls[name] = url
            else:
                files.append(SentFile(name, kept_output.file))
        return urls, files

    async def _resolve_prompt(
        self, request: JobRequest, principal: str, inputs_by_key: Mapping[tuple[str, str], FileInput]
    ) -> tuple[dict[str, str], list[SentFile]]:
        """Return a new file name for each text in these inputs that is a reference, and the files with these names."""
        used_names = {*request.urls, *(file.name for file in request.inputs)}
        stems = (f"earlier-output-{number}" for number in count())
        unused_stems = (stem for stem in stems if stem not in used_names)
        file_names: dict[str, str] = {}
        files = []
        for file_input, text in _texts_of(inputs_by_key):
            if text in file_names:
                continue
            kept_output = await self._find_output(text, request.base_url, principal, file_input.label)
            if kept_output is not None:
                file_names[text] = next(unused_stems) + PurePosixPath(kept_output.output.filename).suffix
                files.append(SentFile(file_names[text], kept_output.file))
        return file_names, files

    async def _find_output(self, text: str, base_url: str, principal: str, label: str) -> _KeptOutput | None:
        """Return the output that a text references, or None if the text is no reference to an output of this worker.

        `label` names the input in errors. Raises OutputNotKept or InvalidInputFile.
        """
        reference = parse_reference(text, base_url)
        if reference is None:
            return None
        try:
            job = self._job(reference, principal)
        except NotFound:
            if not reference.certain:  # a URL of another host, which only looks like one of this worker
                return None
            reason = f"this worker keeps no result of your job {reference.job_id!r}; it may have expired"
            raise _not_kept(label, reason) from None
        output = _output(job, reference, label)
        path = self.outputs.path(job, output)
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except OSError:
            raise _not_kept(label, f"output {output.index} of job {job.id!r} is no longer kept") from None
        return _KeptOutput(output, KeptFile(path, size, output.sha256))

    def _job(self, reference: OutputReference, principal: str) -> Job:
        """Return the job of a reference. Raises NotFound for an unknown job, and equally for one of another caller."""
        if reference.token:
            return self.manager.find(reference.job_id, reference.token)
        if not reference.certain:  # a URL of another host needs a token
            raise NotFound(f"no job {reference.job_id!r}")
        return self.manager.find_owned(reference.job_id, principal)


def may_reference_outputs(request: JobRequest) -> bool:
    """Return whether any text of a request looks like a reference to an output.

    Most requests have none. For these, the caller need not load the catalog.
    """
    input_texts = (text for node in request.prompt.values() for text in texts(node["inputs"]))
    return any(
        REFERENCE_WORD in text and parse_reference(text, "") is not None
        for text in (*request.urls.values(), *input_texts)
    )


def with_output_references(request: JobRequest) -> JobRequest:
    """Return the request with references in object form converted to texts. Raises InvalidField."""
    try:
        return replace(request, prompt=prompt_with_output_references(request.prompt))
    except ValueError as error:
        raise InvalidField(str(error)) from None


def prompt_with_output_references(prompt: dict[str, Any]) -> dict[str, Any]:
    """Return the prompt with references in object form converted to texts.

    The prompt may be invalid. Raises ValueError.
    """
    changed = {node_id: _with_texts(node) for node_id, node in prompt.items() if _has_reference(node)}
    return {**prompt, **changed}


def _with_texts(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node with references converted to texts."""
    inputs = node["inputs"].items()
    new_inputs = {name: with_reference_texts(value) for name, value in inputs if has_reference(value)}
    return {**node, "inputs": {**node["inputs"], **new_inputs}}


def _has_reference(node: object) -> bool:
    """Return whether a node has a reference in object form."""
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return isinstance(inputs, dict) and any(
        isinstance(value, dict | list) and not is_link(value) and has_reference(value) for value in inputs.values()
    )


def _texts_of(inputs_by_key: Mapping[tuple[str, str], FileInput]) -> Iterator[tuple[FileInput, str]]:
    """Yield each text of these inputs, with its input."""
    for file_input in inputs_by_key.values():
        for text in texts(file_input.value):
            yield file_input, text


def _output(job: Job, reference: OutputReference, label: str) -> Output:
    """Return the output that a reference names. Raises OutputNotKept or InvalidInputFile."""
    index = reference.index
    output = next((candidate for candidate in job.outputs if candidate.index == index), None)
    if output is None and not job.state.ended:
        raise _not_kept(label, f"job {job.id!r} has not ended yet", "wait for its result")
    if output is None:
        actual = f"it has {len(job.outputs)}" if job.outputs else f"it is {job.state.value} and has none"
        raise _not_kept(label, f"job {job.id!r} has no output {index}: {actual}")
    if output.text is not None:
        message = f"{label}: output {index} of job {job.id!r} is {output.kind} and has no file"
        raise InvalidInputFile(message, [Detail(message, input=label, suggestion="write its text into the workflow")])
    return output


def _not_kept(label: str, reason: str, remedy: str = REMEDY) -> OutputNotKept:
    """Return the error for an output that is not kept."""
    return OutputNotKept(f"{label}: {reason}", [Detail(reason, input=label, suggestion=remedy)])


def _with_file_names(
    prompt: Prompt, inputs_by_key: Mapping[tuple[str, str], FileInput], file_names: Mapping[str, str]
) -> Prompt:
    """Return the prompt with file names in place of the references in its file inputs.

    `file_names` are by reference.
    """
    new_prompt: dict[str, Any] = {}
    for node_id, node in prompt.items():
        inputs = {
            name: replace_texts(value, dict(file_names)) if (node_id, name) in inputs_by_key else value
            for name, value in node["inputs"].items()
        }
        new_prompt[node_id] = {**node, "inputs": inputs}
    return new_prompt


def _check_no_reference_left(prompt: Prompt) -> None:
    """Raise FileNotAllowed if an input that takes no file has a reference."""
    details = [
        Detail(
            f"{name!r} of node {node_id} ({node['class_type']}) names an output of a job, but takes no file",
            node_id=node_id,
            class_type=node["class_type"],
            input=name,
            suggestion="use a node that loads files",
        )
        for node_id, node in prompt.items()
        for name, value in node["inputs"].items()
        if any(map(is_reference_text, texts(value)))
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)

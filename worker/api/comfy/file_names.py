"""The files of a prompt that only its caller knows: uploads, and outputs of its earlier prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from worker.api.comfy.client_prompts import CallerPrompts, Scope
from worker.api.comfy.uploads import Uploads
from worker.engine.protocol.api import FileRef
from worker.inputs import KeptFile, SentFile
from worker.inputs.earlier_output import reference_text
from worker.inputs.file_inputs import ANNOTATED, file_inputs, texts
from worker.inputs.prepare import replace_texts
from worker.intake import Submission
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt


@dataclass(slots=True)
class CallerFiles:
    """Finds a caller's files by the texts in a prompt."""

    scope: Scope
    uploads: Uploads
    prompts: CallerPrompts
    sent: dict[str, SentFile] = field(default_factory=dict)
    """The uploads that were found, by the names that the prompt gets for them."""

    def resolve(self, submission: Submission, catalog: Catalog) -> Submission:
        """Return the submission with the files that its prompt names.

        A name of an upload becomes an input file, and that of an output a reference to it. Other names do not change.
        """
        prompt, new_texts = submission.request.prompt, dict[tuple[str, str], dict[str, str]]()
        for node_input in file_inputs(prompt, catalog):
            if node_input.accepts_upload:
                found = {text: name for text in texts(node_input.value) if (name := self._new_name(text))}
                if found:
                    new_texts[node_input.key] = found
        if not new_texts:
            return submission
        request = replace(submission.request, prompt=_with_texts(prompt, new_texts))
        return replace(submission, request=request, files=(*submission.files, *self.sent.values()))

    def _new_name(self, text: str) -> str | None:
        """Return the text to write in place of a name of the caller's file, or None for another text."""
        for ref in named_files(text):
            upload = self.uploads.find(self.scope, ref)
            if upload is not None:
                folder = () if ref.folder == "input" else (ref.folder,)
                name = "/".join(filter(None, (*folder, ref.subfolder, ref.filename)))
                self.sent[name] = SentFile(name, KeptFile(upload.path, upload.size, upload.sha256))
                return name
            prompt = self.prompts.by_file.get(ref)
            output = prompt.outputs.get(prompt.files.get(ref, ref)) if prompt is not None else None
            if prompt is not None and output is not None and prompt.job.state.ended:
                return reference_text({"job": prompt.id, "output": output.index})
        return None


def named_files(text: str) -> Iterator[FileRef]:
    """Yield the file that a text names as ComfyUI's loaders read it: `a.png`, `sub/a.png` or `a.png [output]`."""
    match = ANNOTATED.fullmatch(text)
    name, folder = (match["name"], match["folder"]) if match else (text, "input")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.name:
        parent = path.parent.as_posix()
        yield FileRef(path.name, "" if parent == "." else parent, folder)


def _with_texts(prompt: Prompt, new_texts: dict[tuple[str, str], dict[str, str]]) -> dict[str, object]:
    """Return the prompt with texts replaced in these inputs."""
    return {
        node_id: {
            **node,
            "inputs": {
                name: replace_texts(value, new_texts.get((node_id, name), {})) for name, value in node["inputs"].items()
            },
        }
        for node_id, node in prompt.items()
    }

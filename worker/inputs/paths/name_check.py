"""Check that a prompt names only files and paths that it may use."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence

from worker.bodies import DATA_URI
from worker.errors import Detail, FileNotAllowed, InvalidInputFile
from worker.inputs.content.signatures import looks_like_base64
from worker.inputs.file_inputs import ANNOTATED, FileInput, OpenFolders, texts
from worker.inputs.names import file_name
from worker.inputs.paths.path_text import PART_CURE, escapes, path_problem
from worker.workflow.catalog.job_folders import JOB_FOLDER
from worker.workflow.catalog.path_inputs import PathUse
from worker.workflow.linked_values import link_of
from worker.workflow.prompt import Prompt, title

OTHERWISE = "or write its URL there; an operator can open folders with WORKER_INPUT_FOLDERS"
CURE = f"send the file in `inputs`, {OTHERWISE}"
BASE64_CURE = "write a data URI (`data:image/png;base64,...`), or send the file in `inputs` under a name"
FOLDER_MISSING = "is a part of a path, and the node's folder is missing"
MODEL_PATHS = frozenset({"DiffusionModelSelector"})
"""Classes that return the path of one of the operator's models, which they find by its name."""
LINK_CURE = "write the path into the node itself, or link a node that holds a text, such as PrimitiveString"
LONGEST_SHOWN = 80
"""Most characters of a name in an error message."""
NO_FILE = frozenset({"", "none", "None", "No History", "[none]", "#DATA"})
"""Values by which loaders mean no file."""


def check_names(
    prompt: Prompt,
    node_inputs: Sequence[FileInput],
    own_texts: Container[str],
    open_folders: OpenFolders,
    *,
    folders: Collection[str] = (),
    any_link: bool = False,
) -> None:
    """Raise FileNotAllowed with one detail for every file or path that the prompt names and may not use.

    `own_texts` contains the texts that name the job's own files, `open_folders` the folders that the operator opened to
    all requests. `folders` are the ids of nodes that name a folder of the job. With `any_link` a link is accepted even
    if its value is known only when the prompt runs.
    """
    details: list[Detail] = []
    for item in node_inputs:
        if link_of(item.value):
            problems = _link_problems(prompt, item, any_link)
        else:
            problems = _unlinked_problems(item, own_texts, open_folders)
        for problem, cure in problems:
            details.append(_detail(prompt, item.node_id, item.input, f"{item.label} {problem}", cure))
    for item in _parts_without_folder(node_inputs, folders):
        details.append(_detail(prompt, item.node_id, item.input, f"{item.label} {FOLDER_MISSING}", PART_CURE))
    for node_id, name in inputs_with_job_folders(prompt):
        message = f"{name!r} of node {node_id} names the folder of a job"
        details.append(_detail(prompt, node_id, name, message, CURE))
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)


def may_be_in_own_folder(node_input: FileInput, text: str) -> bool:
    """Return True for a path that may be replaced with one in the job's own folder.

    The node finds no file there and reports this. Absolute paths and other paths that lead out of the folder are not
    replaced but refused.
    """
    if node_input.use is not PathUse.READ or text in NO_FILE or ANNOTATED.fullmatch(text):
        return False
    return path_problem(text, node_input.use) is None


def inputs_with_job_folders(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """Yield node id and name of each input with the folder name of a job in it.

    Clients do not know the folder of their own job, so it is the folder of another job. Data URIs are skipped: they are
    not paths, and may be very long.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            if any(JOB_FOLDER.search(text) for text in texts(value) if not DATA_URI.match(text)):
                yield node_id, name


def _link_problems(prompt: Prompt, node_input: FileInput, any_link: bool) -> Iterator[tuple[str, str]]:
    """Yield the problem of a linked input and a suggestion, if its value is known only when the prompt runs.

    Yield nothing if the link is allowed.
    """
    node_id, _ = link_of(node_input.value) or ("", 0)
    source = prompt[node_id]["class_type"] if node_id in prompt else "no node"
    if node_input.needs_known_path and not any_link and source not in MODEL_PATHS:
        yield f"is linked to node {node_id} ({source}), so its path is known only when it runs", LINK_CURE


def _unlinked_problems(
    node_input: FileInput, own_texts: Container[str], open_folders: OpenFolders
) -> Iterator[tuple[str, str]]:
    """Yield each problem of an input that is not linked, and a suggestion."""
    check = _upload_problem if node_input.accepts_upload else _text_problem
    for text in texts(node_input.value):
        if text in own_texts and node_input.accepts_job_files:
            if node_input.needs_path and open_folders.shared is None:
                yield "needs a path, and this worker cannot access ComfyUI's folders", "use a node that accepts uploads"
            continue
        # A default that leads out of the folder comes from the class. A node uses it only if the input is not used.
        is_unused_default = text == node_input.default and escapes(text)
        problem = None if text in NO_FILE or is_unused_default else check(node_input, text, open_folders)
        if problem is not None:
            yield problem


def _upload_problem(node_input: FileInput, text: str, open_folders: OpenFolders) -> tuple[str, str] | None:
    """Return the problem of a text in an upload input that names none of the job's files, and a suggestion, or None."""
    if looks_like_base64(text):
        return f"has base64 of an unknown kind of file ({_shortened(text)!r})", BASE64_CURE
    if node_input.needs_path and open_folders.contain_path(text):
        return None
    if open_folders.shared is not None and may_be_in_own_folder(node_input, text):
        return None
    if escapes(text):
        return f"names {_shortened(text)!r}, which leads out of its folder", _cure(text)
    if node_input.needs_path or not open_folders.contain_name(text):
        return f"names {_shortened(text)!r}, which is not a file of this request", _cure(text)
    return None


def _text_problem(node_input: FileInput, text: str, open_folders: OpenFolders) -> tuple[str, str] | None:
    """Return the problem of a model name or of a path that is not an upload, and a suggestion, or None."""
    if node_input.use is PathUse.OUTPUT:
        if escapes(text) or not open_folders.contain_name(f"{text} [output]"):
            cure = "an operator can open the folder with WORKER_INPUT_FOLDERS"
            return f"reads {_shortened(text)!r} of ComfyUI's output folder, which is not open", cure
    elif node_input.use is PathUse.WRITE and open_folders.allow_writing(text):
        return None
    elif node_input.use is not None:
        problem = path_problem(text, node_input.use)
        if problem is not None:
            reason, cure = problem
            return f"has {_shortened(text)!r}, which {reason}", cure
    elif escapes(text):
        return f"names {_shortened(text)!r}, which leads out of its folder", _cure(text)
    return None


def _parts_without_folder(node_inputs: Sequence[FileInput], nodes: Collection[str]) -> Iterator[FileInput]:
    """Yield the inputs for a part of a path whose node names no folder, so that the node would use the part as a path.

    `nodes` are the ids of nodes that name a folder of the job.
    """
    files = (item for item in node_inputs if item.accepts_upload and not NO_FILE.issuperset(texts(item.value)))
    with_folder = {*nodes, *(item.node_id for item in files)}
    for item in node_inputs:
        if item.use is PathUse.PART and item.node_id not in with_folder and any(map(str.strip, texts(item.value))):
            yield item


def _cure(text: str) -> str:
    """Return what to do about a name that is not a file of the request."""
    try:
        name = file_name(text)
    except InvalidInputFile:
        return CURE
    return CURE if len(name) > LONGEST_SHOWN else f"send the file in `inputs` as {name!r}, {OTHERWISE}"


def _detail(prompt: Prompt, node_id: str, name: str, message: str, cure: str) -> Detail:
    """Return an error detail. The folder names of jobs are masked in it."""
    shown, suggestion = (JOB_FOLDER.sub("job-...", text) for text in (message, cure))
    return Detail(shown, node_id, title(prompt, node_id), prompt[node_id]["class_type"], name, suggestion)


def _shortened(text: str) -> str:
    """Return a text with at most LONGEST_SHOWN characters."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."

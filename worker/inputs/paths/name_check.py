"""Whether a prompt may have the files and paths that it names: what is refused, why, and what to do instead."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence

from worker.bodies import DATA_URI
from worker.errors import Detail, FileNotAllowed, InvalidInputFile
from worker.inputs.file_inputs import ANNOTATED, FileInput, OpenFolders, texts
from worker.inputs.names import file_name
from worker.inputs.paths.path_text import PART_CURE, escapes, path_problem
from worker.inputs.signatures import looks_like_base64
from worker.workflow.catalog.job_folders import JOB_FOLDER
from worker.workflow.catalog.path_inputs import PathUse
from worker.workflow.linked_values import link_of
from worker.workflow.prompt import Prompt, title

OTHERWISE = "or write its URL there; an operator opens folders by WORKER_INPUT_FOLDERS"
CURE = f"send the file in `inputs`, {OTHERWISE}"
BASE64_CURE = "write a data URI (`data:image/png;base64,...`), or send the file in `inputs` under a name"
ALONE = "is a part of a path whose folder is not given"
MODEL_PATHS = frozenset({"DiffusionModelSelector"})
"""Classes that put out the path of a model that the operator has: they find it by its name in ComfyUI's folders."""
LINK_CURE = "write the path into the node itself, or link a node that holds a text, such as PrimitiveString"
LONGEST = 80
"""Characters of a name that an error repeats."""
NOTHING = frozenset({"", "none", "None", "No History", "[none]", "#DATA"})
"""What loaders take for no file at all."""


def check_names(
    prompt: Prompt,
    places: Sequence[FileInput],
    own: Container[str],
    opened: OpenFolders,
    *,
    folders: Collection[str] = (),
    any_link: bool = False,
) -> None:
    """Raise FileNotAllowed with everything that a prompt names and may not have. `own` names the job's own files.

    `folders` are the nodes of which an input names a folder of the job's. With `any_link` an input may be linked to
    what only the run shows.
    """
    details = [
        _detail(prompt, place.node_id, place.input, f"{place.label} {problem}", cure)
        for place in places
        for problem, cure in (
            _link_problems(prompt, place, any_link) if link_of(place.value) else _problems(place, own, opened)
        )
    ]
    details += [
        _detail(prompt, place.node_id, place.input, f"{place.label} {ALONE}", PART_CURE)
        for place in _alone(places, folders)
    ]
    details += [
        _detail(prompt, node_id, name, f"{name!r} of node {node_id} names the folder of a job", CURE)
        for node_id, name in foreign(prompt)
    ]
    if details:
        raise FileNotAllowed("; ".join(detail.message for detail in details[:3]), details)


def may_lie_inside(place: FileInput, text: str) -> bool:
    """Tell whether a path, none of the job's files, may be one in its own folder: nodes find nothing there."""
    if place.use is not PathUse.READ or text in NOTHING or ANNOTATED.fullmatch(text):
        return False
    return path_problem(text, place.use) is None


def foreign(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """Yield (node id, input) of each text with the folder of a job in it: no client knows its own, so it is another's.

    Data URIs are left out: they are no paths, and may be very long.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            if any(JOB_FOLDER.search(text) for text in texts(value) if not DATA_URI.match(text)):
                yield node_id, name


def _link_problems(prompt: Prompt, place: FileInput, any_link: bool) -> Iterator[tuple[str, str]]:
    node_id, _ = link_of(place.value) or ("", 0)
    source = prompt[node_id]["class_type"] if node_id in prompt else "no node"
    if place.needs_known_path and not any_link and source not in MODEL_PATHS:
        yield f"is linked to node {node_id} ({source}), so that its path is known only when it runs", LINK_CURE


def _problems(place: FileInput, own: Container[str], opened: OpenFolders) -> Iterator[tuple[str, str]]:
    for text in texts(place.value):
        if text in own and place.takes_files:
            if place.path and opened.shared is None:
                yield "wants a path, and this worker reaches no folder of ComfyUI's", "use a node that takes uploads"
        elif text not in NOTHING and not (text == place.default and escapes(text)):
            # A default that leads anywhere is the text of the class itself, for where the input does not count.
            problem = _upload_problem(place, text, opened) if place.uploads else _text_problem(place, text, opened)
            if problem is not None:
                yield problem


def _upload_problem(place: FileInput, text: str, opened: OpenFolders) -> tuple[str, str] | None:
    """Return what is wrong with the name of a file that is none of the job's, and the cure."""
    if looks_like_base64(text):
        return f"has base64 of no kind of file that is known ({_short(text)!r})", BASE64_CURE
    if place.path and opened.have_path(text):
        return None
    if opened.shared is not None and may_lie_inside(place, text):
        return None
    if escapes(text):
        return f"names {_short(text)!r}, which leads out of its folder", _cure(text)
    if place.path or not opened.have(text):
        return f"names {_short(text)!r}, which is none of this request's files", _cure(text)
    return None


def _text_problem(place: FileInput, text: str, opened: OpenFolders) -> tuple[str, str] | None:
    """Return what is wrong with the name of a model, or a path of another use than of a file of the job's."""
    if place.use is PathUse.OUTPUT:
        if escapes(text) or not opened.have(f"{text} [output]"):
            return f"reads {_short(text)!r} of ComfyUI's output folder", "an operator opens it by WORKER_INPUT_FOLDERS"
    elif place.use is PathUse.WRITE and opened.takes_written(text):
        return None
    elif place.use is not None:
        if found := path_problem(text, place.use):
            return f"has {_short(text)!r}, which {found[0]}", found[1]
    elif escapes(text):
        return f"names {_short(text)!r}, which leads out of its folder", _cure(text)
    return None


def _alone(places: Sequence[FileInput], nodes: Collection[str]) -> Iterator[FileInput]:
    """Yield the parts of paths whose folder is not given: nodes take them for paths of their own."""
    given = (place for place in places if place.uploads and not NOTHING.issuperset(texts(place.value)))
    folders = {*nodes, *(place.node_id for place in given)}
    for place in places:
        if place.use is PathUse.PART and place.node_id not in folders and any(map(str.strip, texts(place.value))):
            yield place


def _cure(text: str) -> str:
    """What to do about a name, with the name to send the file by where it can be one."""
    try:
        name = file_name(text)
    except InvalidInputFile:
        return CURE
    return CURE if len(name) > LONGEST else f"send the file in `inputs` as {name!r}, {OTHERWISE}"


def _detail(prompt: Prompt, node_id: str, name: str, message: str, cure: str) -> Detail:
    shown, suggestion = (JOB_FOLDER.sub("job-...", text) for text in (message, cure))
    return Detail(shown, node_id, title(prompt, node_id), prompt[node_id]["class_type"], name, suggestion)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:77]}..."

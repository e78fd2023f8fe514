"""Names of files as loaders take them, and what the checks of the classes say to one.

Each check gets the arguments that the server hands to it, and returns what is wrong, or None. What an argument of
another type makes Python raise is let happen: the server reports the exception.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import cast

from worker.workflow.json_value import Json
from worker.workflow.validation.file_check import FileCheck

Arguments = Mapping[str, Json]
NodeCheck = Callable[[Arguments, FileCheck], str | None]


def uploaded(name: str, files: FileCheck) -> bool:
    """Tell whether a name as loaders take it (`a/b.png`, `b.png [temp]`) is there, a folder included.

    As in the server, an empty name is the folder itself, and a name that leaves its folder is not there.
    """
    folder, path = _annotated(name)
    if _outside(path):
        return False
    return path == "." or _is_file(folder, path, files) or files.exists(folder, f"{path}/")


def file_at(argument: str, text: str, *, plain: bool = False) -> NodeCheck:
    """A name that `uploaded` knows; with `plain`, one that neither starts at the root nor has `..` in it."""

    def decide(arguments: Arguments, files: FileCheck) -> str | None:
        name = cast(str, arguments[argument])
        if not uploaded(name, files) or (plain and (name.startswith("/") or ".." in name)):
            return text.format(name)
        return None

    return decide


def received_image(arguments: Arguments, files: FileCheck) -> str | None:
    """Impact's receiver of images: the picture may also be in the workflow itself."""
    if arguments["image"] == "#DATA":
        return None
    return file_at("image", "Invalid image file: {}", plain=True)(arguments, files)


def model_file(arguments: Arguments, files: FileCheck) -> str | None:
    name = arguments["model_file"]
    if not name or name == "none":
        return None
    return file_at("model_file", "Invalid 3D model file: {}")(arguments, files)


def names_text_file(arguments: Arguments) -> bool:
    name = cast(str, arguments["file"])
    return name != "[none]" and bool(name) and bool(name.strip())


def text_file(arguments: Arguments, files: FileCheck) -> str | None:
    """A text file that need not be there. Raises ReferenceError for a name that leads out of its folder."""
    if names_text_file(arguments):
        path = posixpath.normpath(cast(str, arguments["file"]))
        if path == ".." or path.startswith(("/", "../")):
            raise ReferenceError
    return None


def path_at(argument: str) -> NodeCheck:
    """VideoHelperSuite: the path of a file anywhere on the machine, or an address, of which nothing is asked."""

    def decide(arguments: Arguments, files: FileCheck) -> str | None:
        path = cast(str | None, arguments[argument])
        if path is None or path.split("://")[0] in ("http", "https") or _is_file("", _stripped(path), files):
            return None
        return f"Invalid file path: {path}"

    return decide


def uploaded_audio(arguments: Arguments, files: FileCheck) -> str | None:
    """VideoHelperSuite: a file in ComfyUI's folders. Raises ValueError for a name that leads out of them."""
    folder, path = _inside(_stripped(cast(str, arguments["audio"])))
    return None if _is_file(folder, path, files) else f"Invalid file path: {path}"


def uploaded_folder(arguments: Arguments, files: FileCheck) -> str | None:
    """VideoHelperSuite: a folder with something in it. Raises ValueError for a name that leads out of ComfyUI's."""
    folder, path = _inside(_stripped(cast(str, arguments["directory"])))
    return _no_files(folder, path, files)


def folder_path(arguments: Arguments, files: FileCheck) -> str | None:
    """VideoHelperSuite: a folder anywhere on the machine."""
    path = cast(str | None, arguments["directory"])
    return None if path is None else _no_files("", _stripped(path), files)


def aspect_ratio(arguments: Arguments, files: FileCheck) -> str | None:
    """`X:Y` in whole numbers, from 1:4 to 4:1. Raises ValueError for anything else."""
    text = cast(str, arguments["aspect_ratio"])
    parts = text.split(":")
    if len(parts) != 2:
        raise ValueError(f"Aspect ratio must be 'X:Y' (e.g., 16:9), got '{text}'.")
    wide, high = int(parts[0].strip()), int(parts[1].strip())
    if wide <= 0 or high <= 0:
        raise ValueError(f"Aspect ratio parts must be positive integers, got {wide}:{high}.")
    if not 0.25 <= wide / high <= 4:
        raise ValueError(f"Aspect ratio `{wide / high:.2g}` is out of its bounds.")
    return None


def tripo_task(arguments: Arguments, files: FileCheck) -> str | None:
    types = cast(dict[str, Json], arguments["input_types"])
    if types["original_model_task_id"] in ("MODEL_TASK_ID", "RIG_TASK_ID", "RETARGET_TASK_ID"):
        return None
    return "original_model_task_id must be MODEL_TASK_ID, RIG_TASK_ID or RETARGET_TASK_ID type"


def text_only(arguments: Arguments, files: FileCheck) -> str | None:
    """The choice of `Combo Clone`: any text, but no link."""
    return None if isinstance(arguments.get("combo"), str) else ""


def _annotated(name: str) -> tuple[str, str]:
    """(folder, path): `b.png [temp]` names a folder; the character before the bracket is cut off, too."""
    for folder in ("output", "input", "temp"):
        if name.endswith(f"[{folder}]"):
            return folder, posixpath.normpath(name[: -len(folder) - 3])
    return "input", posixpath.normpath(name)


def _outside(path: str) -> bool:
    return "\0" in path or path == ".." or path.startswith(("/", "../"))


def _inside(name: str) -> tuple[str, str]:
    folder, path = _annotated(name)
    if _outside(path):
        raise ValueError(f"Invalid file path: {name!r}")
    return folder, path


def _stripped(path: str) -> str:
    """Less blanks around it, and then one quotation mark at each end."""
    return path.strip().removeprefix('"').removesuffix('"')


def _is_file(folder: str, path: str, files: FileCheck) -> bool:
    return not path.endswith(("/", "/*")) and files.exists(folder, path)


def _no_files(folder: str, path: str, files: FileCheck) -> str | None:
    if not path or not files.exists(folder, f"{path}/"):
        return f"Directory '{path}' cannot be found."
    if not files.exists(folder, f"{path}/*"):
        return f"No files in directory '{path}'."
    return None

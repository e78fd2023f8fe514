"""Validator functions of node classes, most of which check that a file exists.

Each validator gets the arguments that ComfyUI passes to it, and returns an error message or None. Exceptions that an
argument of a wrong type raises are not caught, because ComfyUI reports them as errors.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import cast

from worker.workflow.json_value import Json
from worker.workflow.validation.file_check import FileCheck

MACHINE = ""
"""What `FileCheck` gets in place of a folder if the path is one of the machine."""
Arguments = Mapping[str, Json]
NodeCheck = Callable[[Arguments, FileCheck], str | None]


def upload_exists(name: str, files: FileCheck) -> bool:
    """Return whether the file or folder of a loader's name (`a/b.png`, `b.png [temp]`) exists.

    As in ComfyUI, an empty name is the folder itself, and a name that leads out of its folder does not exist.
    """
    folder, path = _folder_and_path(name)
    if _leads_outside(path):
        return False
    return path == "." or _is_file(folder, path, files) or files.exists(folder, f"{path}/")


def file_validator(argument: str, text: str, *, plain: bool = False) -> NodeCheck:
    """Return a validator for an argument that must name an existing file in ComfyUI's folders.

    `text` is the error message, with `{}` for the name. With `plain`, the name must not start with `/` or contain `..`.
    """

    def validator(arguments: Arguments, files: FileCheck) -> str | None:
        """Return the error message, or None if the file that the argument names exists."""
        name = cast(str, arguments[argument])
        is_valid = upload_exists(name, files)
        if is_valid and plain:
            is_valid = not name.startswith("/") and ".." not in name
        return None if is_valid else text.format(name)

    return validator


def check_received_image(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if the image file of Impact's image receiver does not exist, else None.

    With the name "#DATA", the image is stored in the workflow instead of a file.
    """
    if arguments["image"] == "#DATA":
        return None
    return file_validator("image", "Invalid image file: {}", plain=True)(arguments, files)


def check_model_file(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if a 3D model file is chosen that does not exist, else None."""
    name = arguments["model_file"]
    if not name or name == "none":
        return None
    return file_validator("model_file", "Invalid 3D model file: {}")(arguments, files)


def names_text_file(arguments: Arguments) -> bool:
    """Return whether a text file is chosen."""
    name = cast(str, arguments["file"])
    return name != "[none]" and bool(name) and bool(name.strip())


def check_text_file(arguments: Arguments, files: FileCheck) -> str | None:
    """Return None, because the text file may be missing. Raises ReferenceError if its name leads out of its folder."""
    if names_text_file(arguments):
        path = posixpath.normpath(cast(str, arguments["file"]))
        if path == ".." or path.startswith(("/", "../")):
            raise ReferenceError
    return None


def path_validator(argument: str) -> NodeCheck:
    """Return a validator for an argument that must be a URL, or the path of an existing file of the machine.

    VideoHelperSuite has such arguments.
    """

    def validator(arguments: Arguments, files: FileCheck) -> str | None:
        """Return the error message, or None if the argument is a URL or the path of a file that exists."""
        path = cast(str | None, arguments[argument])
        if path is None:  # the input is linked
            return None
        is_url = path.split("://")[0] in ("http", "https")
        if is_url or _is_file(MACHINE, _stripped(path), files):
            return None
        return f"Invalid file path: {path}"

    return validator


def check_uploaded_audio(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if an audio file does not exist in ComfyUI's folders, else None (VideoHelperSuite).

    Raises ValueError for a name that leads out of the folder.
    """
    folder, path = _folder_and_path_inside(_stripped(cast(str, arguments["audio"])))
    return None if _is_file(folder, path, files) else f"Invalid file path: {path}"


def check_uploaded_folder(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if a folder in ComfyUI's folders does not exist or is empty, else None (VideoHelperSuite).

    Raises ValueError for a name that leads out of the folder.
    """
    folder, path = _folder_and_path_inside(_stripped(cast(str, arguments["directory"])))
    return _folder_error(folder, path, files)


def check_folder_path(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if a folder of the machine does not exist or is empty, else None (VideoHelperSuite)."""
    path = cast(str | None, arguments["directory"])
    if path is None:  # the input is linked
        return None
    return _folder_error(MACHINE, _stripped(path), files)


def check_aspect_ratio(arguments: Arguments, files: FileCheck) -> str | None:
    """Return None for an aspect ratio `X:Y` of two integers from 1:4 to 4:1. Raises ValueError for any other text."""
    text = cast(str, arguments["aspect_ratio"])
    parts = text.split(":")
    if len(parts) != 2:
        raise ValueError(f"Aspect ratio must be 'X:Y' (e.g., 16:9), got '{text}'.")
    width, height = int(parts[0].strip()), int(parts[1].strip())
    if width <= 0 or height <= 0:
        raise ValueError(f"Aspect ratio parts must be positive integers, got {width}:{height}.")
    if not 0.25 <= width / height <= 4:
        raise ValueError(f"Aspect ratio `{width / height:.2g}` is out of its bounds.")
    return None


def check_tripo_task(arguments: Arguments, files: FileCheck) -> str | None:
    """Return an error if the linked task of a `TripoConversionNode` has a wrong type, else None."""
    types = cast(dict[str, Json], arguments["input_types"])
    if types["original_model_task_id"] in ("MODEL_TASK_ID", "RIG_TASK_ID", "RETARGET_TASK_ID"):
        return None
    return "original_model_task_id must be MODEL_TASK_ID, RIG_TASK_ID or RETARGET_TASK_ID type"


def check_text_choice(arguments: Arguments, files: FileCheck) -> str | None:
    """Return None if the choice of `Combo Clone` is a text, else "", which stands for an error without a message."""
    return None if isinstance(arguments.get("combo"), str) else ""


def _folder_and_path(name: str) -> tuple[str, str]:
    """Return (folder, path) of a name such as `b.png [temp]`. A name without a folder is in the input folder."""
    for folder in ("output", "input", "temp"):
        if name.endswith(f"[{folder}]"):
            # Like ComfyUI, removes `[`, `]` and the character before them, even if that is no space.
            return folder, posixpath.normpath(name[: -len(folder) - 3])
    return "input", posixpath.normpath(name)


def _leads_outside(path: str) -> bool:
    """Return whether a relative path leads out of its folder."""
    return "\0" in path or path == ".." or path.startswith(("/", "../"))


def _folder_and_path_inside(name: str) -> tuple[str, str]:
    """Return (folder, path) of a name. Raises ValueError if it leads out of its folder."""
    folder, path = _folder_and_path(name)
    if _leads_outside(path):
        raise ValueError(f"Invalid file path: {name!r}")
    return folder, path


def _stripped(path: str) -> str:
    """Return a path without surrounding spaces, and then without one quotation mark at each end."""
    return path.strip().removeprefix('"').removesuffix('"')


def _is_file(folder: str, path: str, files: FileCheck) -> bool:
    """Return whether a path is a file that exists. For `FileCheck`, a name that ends in `/` or `/*` is a folder."""
    return not path.endswith(("/", "/*")) and files.exists(folder, path)


def _folder_error(folder: str, path: str, files: FileCheck) -> str | None:
    """Return the error for a folder that does not exist or is empty, or None."""
    if not path or not files.exists(folder, f"{path}/"):
        return f"Directory '{path}' cannot be found."
    if not files.exists(folder, f"{path}/*"):
        return f"No files in directory '{path}'."
    return None

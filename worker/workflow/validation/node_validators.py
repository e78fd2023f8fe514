"""The checks that single node classes make of their inputs, most of them that a file is there.

ComfyUI calls them `VALIDATE_INPUTS`. The server hands one the inputs it names and leaves out its own checks of those;
a check that takes everything switches off all limits of its class. Facts of ComfyUI 0.33.0 and of the packs
at the pinned revisions; only the aspect ratio of FluxProUltraImageNode is left unchecked.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from worker.workflow.json_value import Json
from worker.workflow.validation.file_check import FileCheck

Arguments = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class NodeValidator:
    """`decide` returns what is wrong, or None; `function` is how Python names it when an argument is missing."""

    function: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    takes_all: bool = False
    takes_types: bool = False
    decide: Callable[[Arguments, FileCheck], str | None] = lambda arguments, files: None

    def takes(self, name: str) -> bool:
        return self.takes_all or name in self.required or name in self.optional

    def run(self, arguments: Arguments, files: FileCheck) -> str | None:
        """Raises TypeError, as the server does, when a required argument is missing."""
        missing = [name for name in self.required if name not in arguments]
        if missing:
            raise TypeError(f"{self.function}() missing 1 required positional argument: {missing[0]!r}")
        return self.decide(arguments, files)


def uploaded(name: str, files: FileCheck) -> bool:
    """Tell whether a name as loaders take it (`a/b.png`, `b.png [temp]`) is there.

    As in the server, an empty name is the folder itself, and a name that leaves its folder is not there.
    """
    folder = "input"
    for other in ("output", "input", "temp"):
        if name.endswith(f"[{other}]"):
            folder, name = other, name[: -len(other) - 3]  # the brackets and the blank before them
            break
    path = posixpath.normpath(name)
    if "\0" in path or path == ".." or path.startswith(("/", "../")):
        return False
    return path == "." or files.exists(folder, name)


def _file_at(argument: str, text: str) -> Callable[[Arguments, FileCheck], str | None]:
    def decide(arguments: Arguments, files: FileCheck) -> str | None:
        name = cast(str, arguments[argument])  # anything else fails in `uploaded` just as it does in the server
        return None if uploaded(name, files) else text.format(name)

    return decide


def _loader(function: str, argument: str, text: str) -> NodeValidator:
    return NodeValidator(function, (argument,), decide=_file_at(argument, text))


def _model_file(arguments: Arguments, files: FileCheck) -> str | None:
    name = arguments["model_file"]
    if not name or name == "none":
        return None
    return _file_at("model_file", "Invalid 3D model file: {}")(arguments, files)


def _path(argument: str) -> Callable[[Arguments, FileCheck], str | None]:
    """Paths anywhere on the machine, or addresses: nothing can be said of them from here but that links pass."""

    def decide(arguments: Arguments, files: FileCheck) -> str | None:
        path = arguments[argument]
        if not isinstance(path, str) or path.partition("://")[1]:
            return None
        return None if files.exists("", path) else f"Invalid file path: {path}"

    return decide


def _tripo_task(arguments: Arguments, files: FileCheck) -> str | None:
    types = cast(dict[str, Json], arguments["input_types"])
    if types["original_model_task_id"] in ("MODEL_TASK_ID", "RIG_TASK_ID", "RETARGET_TASK_ID"):
        return None
    return "original_model_task_id must be MODEL_TASK_ID, RIG_TASK_ID or RETARGET_TASK_ID type"


def _all_checks() -> Iterator[tuple[str, NodeValidator]]:
    image = _loader("LoadImage.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield from dict.fromkeys(("LoadImage", "LoadImageMask", "LoadImageOutput"), image).items()
    yield "Mask Sketch", _loader("MaskSketch.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield "LoadLatent", _loader("LoadLatent.VALIDATE_INPUTS", "latent", "Invalid latent file: {}")
    yield "LoadAudio", _loader("LoadAudio.validate_inputs", "audio", "Invalid audio file: {}")
    yield "LoadVideo", _loader("LoadVideo.validate_inputs", "file", "Invalid video file: {}")
    for name in ("Load3D", "Load3DAdvanced"):
        yield name, NodeValidator(f"{name}.validate_inputs", ("model_file",), takes_all=True, decide=_model_file)
    for name in ("SelectModelDevice", "SelectCLIPDevice", "SelectVAEDevice"):
        yield name, NodeValidator(f"{name}Node.validate_inputs", (), ("device",))
    for name in ("TwoWaySwitch", "ThreeWaySwitch"):
        yield name, NodeValidator(f"{name}.VALIDATE_INPUTS", (), takes_all=True)
    yield "ModelAttentionBackend", NodeValidator("ModelAttentionBackend.VALIDATE_INPUTS", ("attention",))
    yield "FluxProUltraImageNode", NodeValidator("FluxProUltraImageNode.validate_inputs", ("aspect_ratio",))
    yield "CustomCombo", NodeValidator("CustomComboNode.validate_inputs", ("choice",), ("index",), takes_all=True)
    tripo = NodeValidator("TripoConversionNode.validate_inputs", ("input_types",), takes_types=True, decide=_tripo_task)
    yield "TripoConversionNode", tripo
    yield from _video_helper_checks()


def _video_helper_checks() -> Iterator[tuple[str, NodeValidator]]:
    for name, written in (("VHS_LoadVideo", "LoadVideoUpload"), ("VHS_LoadVideoFFmpeg", "LoadVideoFFmpegUpload")):
        yield name, _loader(f"{written}.VALIDATE_INPUTS", "video", "Invalid video file: {}")
    for name in ("VHS_LoadVideoPath", "VHS_LoadVideoFFmpegPath"):
        yield name, NodeValidator(f"{name[4:]}.VALIDATE_INPUTS", ("video",), decide=_path("video"))
    yield "VHS_LoadImagePath", NodeValidator("LoadImagePath.VALIDATE_INPUTS", ("image",), decide=_path("image"))
    audio = NodeValidator("LoadAudio.VALIDATE_INPUTS", ("audio_file",), takes_all=True, decide=_path("audio_file"))
    yield "VHS_LoadAudio", audio
    for name, argument, text in (
        ("VHS_LoadAudioUpload", "audio", "Invalid file path: {}"),
        ("VHS_LoadImages", "directory", "Directory '{}' cannot be found."),
    ):
        decide = _file_at(argument, text)
        yield name, NodeValidator(f"{name[4:]}.VALIDATE_INPUTS", (argument,), takes_all=True, decide=decide)
    yield (
        "VHS_LoadImagesPath",
        NodeValidator("LoadImagesFromDirectoryPath.VALIDATE_INPUTS", ("directory",), takes_all=True),
    )
    yield "VHS_Unbatch", NodeValidator("Unbatch.VALIDATE_INPUTS", ("input_types",), takes_types=True)


NODE_VALIDATORS = dict(_all_checks())

"""Validators of single node classes, which ComfyUI calls `VALIDATE_INPUTS`.

ComfyUI passes a validator the inputs that it names as arguments, and skips its own checks of these inputs. A validator
that accepts any argument disables all checks of its class. The table covers ComfyUI 0.33.0 and fifteen node packs. A
class that is not in the table has no validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.packs import named_files
from worker.workflow.validation.packs.named_files import Arguments, NodeCheck, file_validator, path_validator


@dataclass(frozen=True, slots=True)
class NodeValidator:
    """The validator of one class.

    `check` returns an error message, "" for an error without a message, or None. `function` is the name of the
    validator in Python's messages. `listed` returns the arguments whose value must be among the choices of their input.
    """

    function: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    accepts_all: bool = False
    accepts_types: bool = False
    listed: Callable[[Arguments], tuple[str, ...]] = lambda arguments: ()
    check: NodeCheck = lambda arguments, files: None

    def accepts(self, name: str) -> bool:
        """Return whether the validator has an argument for this input."""
        return self.accepts_all or name in self.required or name in self.optional

    def run(self, arguments: Arguments, files: FileCheck, node_class: NodeClass) -> str | None:
        """Return the error message of the validator, or None.

        Raises TypeError if a required argument is missing, and KeyError for a value that is not listed, as in ComfyUI.
        """
        missing = [repr(name) for name in self.required if name not in arguments]
        if missing:
            raise TypeError(_missing_arguments_message(self.function, missing))
        for name in self.listed(arguments):  # the pack looks such a value up in a dict of its choices
            if arguments[name] not in (node_class.by_name[name].options or ()):
                raise KeyError(cast(str, arguments[name]) + " dir not found")
        return self.check(arguments, files)


def _missing_arguments_message(function: str, names: Sequence[str]) -> str:
    """Return the message of Python's TypeError for a call without these required arguments."""
    *first, last = names
    if not first:
        return f"{function}() missing 1 required positional argument: {last}"
    comma = "," if len(first) > 1 else ""
    listed = f"{', '.join(first)}{comma} and {last}"
    return f"{function}() missing {len(names)} required positional arguments: {listed}"


def _loader_validator(function: str, argument: str, text: str) -> NodeValidator:
    """Return the validator of a loader: the file in `argument` must exist."""
    return NodeValidator(function, (argument,), check=file_validator(argument, text))


def _all_validators() -> Iterator[tuple[str, NodeValidator]]:
    """Yield (class, validator) for each class that has a validator."""
    yield from _core_validators()
    yield from _validators_that_disable_checks()
    yield from _video_helper_validators()
    yield from _impact_validators()


def _core_validators() -> Iterator[tuple[str, NodeValidator]]:
    """Yield the validators that load files or check a single value, from ComfyUI and several packs, by class."""
    image = _loader_validator("LoadImage.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield from dict.fromkeys(("LoadImage", "LoadImageMask", "LoadImageOutput", "WebcamCapture"), image).items()
    yield "Mask Sketch", _loader_validator("MaskSketch.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield (
        "LoadAndResizeImage",
        _loader_validator("LoadAndResizeImage.VALIDATE_INPUTS", "image", "Invalid image file: {}"),
    )
    yield "LoadLatent", _loader_validator("LoadLatent.VALIDATE_INPUTS", "latent", "Invalid latent file: {}")
    yield "LoadAudio", _loader_validator("LoadAudio.validate_inputs", "audio", "Invalid audio file: {}")
    yield "LoadVideo", _loader_validator("LoadVideo.validate_inputs", "file", "Invalid video file: {}")
    for name in ("Load3D", "Load3DAdvanced"):
        check = named_files.check_model_file
        yield name, NodeValidator(f"{name}.validate_inputs", ("model_file",), accepts_all=True, check=check)
    for name in ("LoadText|pysssss", "SaveText|pysssss"):
        yield name, _text_file_validator()
    function = "FluxProUltraImageNode.validate_inputs"
    yield "FluxProUltraImageNode", NodeValidator(function, ("aspect_ratio",), check=named_files.check_aspect_ratio)
    function = "TripoConversionNode.validate_inputs"
    tripo = NodeValidator(function, ("input_types",), accepts_types=True, check=named_files.check_tripo_task)
    yield "TripoConversionNode", tripo


def _text_file_validator() -> NodeValidator:
    """Return the validator of the text file nodes of pysssss."""
    return NodeValidator(
        "TextFileNode.VALIDATE_INPUTS",
        ("root_dir", "file"),
        accepts_all=True,
        listed=lambda arguments: ("root_dir",) if named_files.names_text_file(arguments) else (),
        check=named_files.check_text_file,
    )


def _validators_that_disable_checks() -> Iterator[tuple[str, NodeValidator]]:
    """Yield validators whose main purpose is to disable ComfyUI's own checks, by class."""
    for name in ("SelectModelDevice", "SelectCLIPDevice", "SelectVAEDevice"):
        yield name, NodeValidator(f"{name}Node.validate_inputs", (), ("device",))
    for name, python_class in (
        ("TwoWaySwitch", "TwoWaySwitch"),
        ("ThreeWaySwitch", "ThreeWaySwitch"),
        ("ReroutePrimitive|pysssss", "ReroutePrimitive"),
    ):
        yield name, NodeValidator(f"{python_class}.VALIDATE_INPUTS", (), accepts_all=True)
    yield "ModelAttentionBackend", NodeValidator("ModelAttentionBackend.VALIDATE_INPUTS", ("attention",))
    yield "CustomCombo", NodeValidator("CustomComboNode.validate_inputs", ("choice",), ("index",), accepts_all=True)
    clone = NodeValidator("ComboClone.validate_inputs", (), accepts_all=True, check=named_files.check_text_choice)
    yield "Combo Clone", clone
    for name, python_class in (("VHS_Unbatch", "Unbatch"), ("DisplayAny", "DisplayAny")):
        yield name, NodeValidator(f"{python_class}.VALIDATE_INPUTS", ("input_types",), accepts_types=True)


def _video_helper_validators() -> Iterator[tuple[str, NodeValidator]]:
    """Yield the validators of VideoHelperSuite, by class."""
    for name, python_class in (("VHS_LoadVideo", "LoadVideoUpload"), ("VHS_LoadVideoFFmpeg", "LoadVideoFFmpegUpload")):
        yield name, _loader_validator(f"{python_class}.VALIDATE_INPUTS", "video", "Invalid video file: {}")
    for name in ("VHS_LoadVideoPath", "VHS_LoadVideoFFmpegPath"):
        yield (
            name,
            NodeValidator(f"{name.removeprefix('VHS_')}.VALIDATE_INPUTS", ("video",), check=path_validator("video")),
        )
    yield "VHS_LoadImagePath", NodeValidator("LoadImagePath.VALIDATE_INPUTS", ("image",), check=path_validator("image"))
    for name, python_class, argument, check in (
        ("VHS_LoadAudio", "LoadAudio", "audio_file", path_validator("audio_file")),
        ("VHS_LoadAudioUpload", "LoadAudioUpload", "audio", named_files.check_uploaded_audio),
        ("VHS_LoadImages", "LoadImagesFromDirectoryUpload", "directory", named_files.check_uploaded_folder),
        ("VHS_LoadImagesPath", "LoadImagesFromDirectoryPath", "directory", named_files.check_folder_path),
    ):
        yield name, NodeValidator(f"{python_class}.VALIDATE_INPUTS", (argument,), accepts_all=True, check=check)


def _impact_validators() -> Iterator[tuple[str, NodeValidator]]:
    """Yield the validators of Impact-Pack, by class."""
    function = "ImageReceiver.VALIDATE_INPUTS"
    arguments = ("image", "link_id", "save_to_workflow", "image_data", "trigger_always")
    yield "ImageReceiver", NodeValidator(function, arguments, check=named_files.check_received_image)
    check = file_validator("latent", "Invalid latent file: {}", plain=True)
    names = ("latent", "link_id", "trigger_always")
    yield "LatentReceiver", NodeValidator("LatentReceiver.VALIDATE_INPUTS", names, check=check)


NODE_VALIDATORS = dict(_all_validators())

"""The checks that single node classes make of their inputs, most of them that a file is there.

ComfyUI calls them `VALIDATE_INPUTS`. The server hands one the inputs it names and leaves out its own checks of those;
a check that takes everything switches off all limits of its class. Facts of ComfyUI 0.33.0 and of fifteen packs; a
class that is not here is taken to have no check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.validation.file_check import FileCheck
from worker.workflow.validation.packs import named_files
from worker.workflow.validation.packs.named_files import Arguments, NodeCheck, file_at, path_at


@dataclass(frozen=True, slots=True)
class NodeValidator:
    """`decide` returns what is wrong, "" where it does not say; `function` is how Python names the check.

    `listed` names the arguments for which it raises a KeyError where the catalog does not list their value.
    """

    function: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    accepts_all: bool = False
    accepts_types: bool = False
    listed: Callable[[Arguments], tuple[str, ...]] = lambda arguments: ()
    decide: NodeCheck = lambda arguments, files: None

    def accepts(self, name: str) -> bool:
        return self.accepts_all or name in self.required or name in self.optional

    def run(self, arguments: Arguments, files: FileCheck, node_class: NodeClass) -> str | None:
        """Raises TypeError, as the server does, when a required argument is missing."""
        missing = [repr(name) for name in self.required if name not in arguments]
        if missing:
            *first, last = missing
            names = f"{', '.join(first)}{',' * (len(first) > 1)} and {last}" if first else last
            more = "s" * (len(missing) > 1)
            raise TypeError(f"{self.function}() missing {len(missing)} required positional argument{more}: {names}")
        for name in self.listed(arguments):
            if arguments[name] not in (node_class.by_name[name].options or ()):
                raise KeyError(cast(str, arguments[name]) + " dir not found")
        return self.decide(arguments, files)


def _loader(function: str, argument: str, text: str) -> NodeValidator:
    return NodeValidator(function, (argument,), decide=file_at(argument, text))


def _all_checks() -> Iterator[tuple[str, NodeValidator]]:
    yield from _own_checks()
    yield from _switch_checks()
    yield from _video_helper_checks()
    yield from _impact_checks()


def _own_checks() -> Iterator[tuple[str, NodeValidator]]:
    image = _loader("LoadImage.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield from dict.fromkeys(("LoadImage", "LoadImageMask", "LoadImageOutput", "WebcamCapture"), image).items()
    yield "Mask Sketch", _loader("MaskSketch.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield "LoadAndResizeImage", _loader("LoadAndResizeImage.VALIDATE_INPUTS", "image", "Invalid image file: {}")
    yield "LoadLatent", _loader("LoadLatent.VALIDATE_INPUTS", "latent", "Invalid latent file: {}")
    yield "LoadAudio", _loader("LoadAudio.validate_inputs", "audio", "Invalid audio file: {}")
    yield "LoadVideo", _loader("LoadVideo.validate_inputs", "file", "Invalid video file: {}")
    for name in ("Load3D", "Load3DAdvanced"):
        decide = named_files.model_file
        yield name, NodeValidator(f"{name}.validate_inputs", ("model_file",), accepts_all=True, decide=decide)
    for name in ("LoadText|pysssss", "SaveText|pysssss"):
        yield name, _text_file()
    function = "FluxProUltraImageNode.validate_inputs"
    yield "FluxProUltraImageNode", NodeValidator(function, ("aspect_ratio",), decide=named_files.aspect_ratio)
    function = "TripoConversionNode.validate_inputs"
    tripo = NodeValidator(function, ("input_types",), accepts_types=True, decide=named_files.tripo_task)
    yield "TripoConversionNode", tripo


def _text_file() -> NodeValidator:
    return NodeValidator(
        "TextFileNode.VALIDATE_INPUTS",
        ("root_dir", "file"),
        accepts_all=True,
        listed=lambda arguments: ("root_dir",) if named_files.names_text_file(arguments) else (),
        decide=named_files.text_file,
    )


def _switch_checks() -> Iterator[tuple[str, NodeValidator]]:
    """Checks that are there to switch off the server's."""
    for name in ("SelectModelDevice", "SelectCLIPDevice", "SelectVAEDevice"):
        yield name, NodeValidator(f"{name}Node.validate_inputs", (), ("device",))
    for name, written in (
        ("TwoWaySwitch", "TwoWaySwitch"),
        ("ThreeWaySwitch", "ThreeWaySwitch"),
        ("ReroutePrimitive|pysssss", "ReroutePrimitive"),
    ):
        yield name, NodeValidator(f"{written}.VALIDATE_INPUTS", (), accepts_all=True)
    yield "ModelAttentionBackend", NodeValidator("ModelAttentionBackend.VALIDATE_INPUTS", ("attention",))
    yield "CustomCombo", NodeValidator("CustomComboNode.validate_inputs", ("choice",), ("index",), accepts_all=True)
    clone = NodeValidator("ComboClone.validate_inputs", (), accepts_all=True, decide=named_files.text_only)
    yield "Combo Clone", clone
    for name, written in (("VHS_Unbatch", "Unbatch"), ("DisplayAny", "DisplayAny")):
        yield name, NodeValidator(f"{written}.VALIDATE_INPUTS", ("input_types",), accepts_types=True)


def _video_helper_checks() -> Iterator[tuple[str, NodeValidator]]:
    for name, written in (("VHS_LoadVideo", "LoadVideoUpload"), ("VHS_LoadVideoFFmpeg", "LoadVideoFFmpegUpload")):
        yield name, _loader(f"{written}.VALIDATE_INPUTS", "video", "Invalid video file: {}")
    for name in ("VHS_LoadVideoPath", "VHS_LoadVideoFFmpegPath"):
        yield name, NodeValidator(f"{name[4:]}.VALIDATE_INPUTS", ("video",), decide=path_at("video"))
    yield "VHS_LoadImagePath", NodeValidator("LoadImagePath.VALIDATE_INPUTS", ("image",), decide=path_at("image"))
    for name, written, argument, decide in (
        ("VHS_LoadAudio", "LoadAudio", "audio_file", path_at("audio_file")),
        ("VHS_LoadAudioUpload", "LoadAudioUpload", "audio", named_files.uploaded_audio),
        ("VHS_LoadImages", "LoadImagesFromDirectoryUpload", "directory", named_files.uploaded_folder),
        ("VHS_LoadImagesPath", "LoadImagesFromDirectoryPath", "directory", named_files.folder_path),
    ):
        yield name, NodeValidator(f"{written}.VALIDATE_INPUTS", (argument,), accepts_all=True, decide=decide)


def _impact_checks() -> Iterator[tuple[str, NodeValidator]]:
    function = "ImageReceiver.VALIDATE_INPUTS"
    arguments = ("image", "link_id", "save_to_workflow", "image_data", "trigger_always")
    yield "ImageReceiver", NodeValidator(function, arguments, decide=named_files.received_image)
    decide = file_at("latent", "Invalid latent file: {}", plain=True)
    taken = ("latent", "link_id", "trigger_always")
    yield "LatentReceiver", NodeValidator("LatentReceiver.VALIDATE_INPUTS", taken, decide=decide)


NODE_VALIDATORS = dict(_all_checks())

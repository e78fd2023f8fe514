"""VideoHelperSuite: what its script makes of the values of its nodes, those of its older versions included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import Conversion, ConversionContext, convert

SIDE = ["INT", {"default": 0, "min": 0, "max": 8192, "disable": 0}]
COUNT = ["INT", {"default": 0, "min": 0, "max": 9007199254740991, "step": 1}]
LOADED = {"None": {}, "Plain": {"target_rate": 8, "dim": [8, 0, 512, 512]}, "Wan": {"target_rate": 16}}
LOADED["Wan"] |= {"dim": [8, 0, 832, 480], "frames": [4, 1]}
H264 = [["pix_fmt", ["yuv420p", "yuv444p"]], ["crf", "INT", {"default": 19, "min": 0, "max": 100, "step": 1}]]
SAVED = {"video/h264-mp4": [*H264, ["trim_to_audio", "BOOLEAN", {"default": False}]]}

LOAD = node_class(
    {
        "video": [["a.mp4", "b.mp4"]],
        "force_rate": ["FLOAT", {"default": 0, "min": 0, "max": 60, "step": 1}],
        "custom_width": SIDE,
        "custom_height": SIDE,
        "frame_load_cap": COUNT,
        "skip_first_frames": COUNT,
        "select_every_nth": ["INT", {"default": 1, "min": 1, "step": 1}],
    },
    ["IMAGE"],
    meta_batch=["VHS_BatchManager"],
    format=[list(LOADED), {"default": "Plain", "formats": LOADED}],
)
COMBINE = node_class(
    {
        "images": ["IMAGE"],
        "frame_rate": ["FLOAT", {"default": 8, "min": 1, "step": 1}],
        "loop_count": ["INT", {"default": 0, "min": 0, "max": 100, "step": 1}],
        "filename_prefix": ["STRING", {"default": "clip"}],
        "format": [["image/gif", *SAVED], {"formats": SAVED}],
        "pingpong": ["BOOLEAN", {"default": False}],
        "save_output": ["BOOLEAN", {"default": True}],
    }
)
PICTURES = node_class({"directory": [["d", "e"]]}, ["IMAGE"], image_load_cap=COUNT, skip_first_images=COUNT)
CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        "VHS_LoadVideo": LOAD,
        "VHS_VideoCombine": COMBINE,
        "VHS_LoadImages": PICTURES,
        "VHS_BatchManager": node_class({"frames_per_batch": COUNT}, ["VHS_BatchManager"]),
        "VHS_SelectLatest": node_class({"filename_prefix": ["STRING", {}]}, ["STRING"]),
        "VHS_VAEDecodeBatched": node_class({"per_batch": ["INT", {"default": 16, "min": 1}]}, ["IMAGE"]),
    }
)
NOW = ConversionContext(now=datetime(2031, 2, 3, tzinfo=UTC))
VIDEO = {
    "video": "a.mp4",
    "force_rate": 8,
    "custom_width": 500,
    "custom_height": 516,
    "frame_load_cap": 16,
    "skip_first_frames": 3,
    "select_every_nth": 2,
}
CLIP = {"frame_rate": 8, "loop_count": 0, "filename_prefix": "clip", "pingpong": False, "save_output": True}


def converted(drawing: WorkflowBuilder) -> Conversion:
    return convert(drawing.saved(), CATALOG, NOW)


def sent(kind: str, values: Any) -> dict[str, Any]:
    """The inputs that come of saved values."""
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values)
    return dict(converted(drawing).prompt["1"]["inputs"])


def size(**values: Any) -> tuple[Any, Any]:
    inputs = sent("VHS_LoadVideo", {**VIDEO, **values})
    assert "force_size" not in inputs
    return inputs.get("custom_width"), inputs.get("custom_height")


@pytest.mark.parametrize(
    ("force_size", "expected"),
    [
        ("Disabled", (0, 0)),
        ("Custom Width", (504, 0)),
        ("Custom Height", (0, 520)),
        ("Custom", (504, 520)),
        ("512x?", (512, 0)),
        ("9" * 5000 + "x?", (8192, 0)),
        ("?x512", (0, 512)),
        ("256x260", (256, 264)),
        ("256x256x9", (256, 256)),
        ("768x432px", (768, 432)),
        (5, (504, 520)),
        (None, (504, 520)),
    ],
)
def test_a_size_that_was_one_field(force_size: Any, expected: tuple[int, int]) -> None:
    """It becomes a width and a height, rounded to the steps of the format, and is not sent itself."""
    assert size(force_size=force_size) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"format": "Wan"}, {"force_rate": 16, "custom_width": 504, "custom_height": 520, "frame_load_cap": 17}),
        ({"format": "Wan", "custom_width": 512, "custom_height": 512}, {"custom_width": 832, "custom_height": 480}),
        ({"format": "Wan", "force_rate": 24, "frame_load_cap": 0}, {"force_rate": 24, "frame_load_cap": 0}),
        ({"format": "None"}, {"custom_width": 500, "custom_height": 516, "force_rate": 8}),
        ({"format": "Gone"}, {"custom_width": 504, "format": "Gone"}),
        ({"format": None}, {"format": "None"}),
        ({"custom_width": 9999, "force_rate": 99}, {"custom_width": 8192, "force_rate": 60}),
        ({"select_every_nth": 0, "frame_load_cap": "12"}, {"select_every_nth": 1, "frame_load_cap": 12}),
        ({"frame_load_cap": None, "skip_first_frames": "x"}, {"frame_load_cap": 0, "skip_first_frames": None}),
    ],
)
def test_the_format_that_a_video_is_loaded_for(values: dict[str, Any], expected: dict[str, Any]) -> None:
    """Sizes and numbers of frames are rounded to what it allows, and its own values replace the former format's."""
    inputs = sent("VHS_LoadVideo", {**VIDEO, **values})
    assert {name: inputs[name] for name in expected} == expected


def test_a_field_that_the_file_does_not_name() -> None:
    """Its default is sent, unless that is 0 or false: the script leaves the field out then."""
    inputs = sent("VHS_LoadVideo", {"video": "b.mp4"})
    assert inputs == {"video": "b.mp4", "select_every_nth": 1, "format": "Plain"}
    assert sent("VHS_VideoCombine", {}) == {
        "frame_rate": 8, "filename_prefix": "clip", "format": "image/gif", "save_output": True
    }  # fmt: skip


def test_lists_of_old_files() -> None:
    """They hold the fields of the pack's first versions, in their order; shorter ones are read as any list."""
    expected = {"video": "b.mp4", "force_rate": 24, "custom_width": 0, "custom_height": 0, "frame_load_cap": 90}
    expected |= {"skip_first_frames": 2, "select_every_nth": 1, "format": "Plain"}
    assert sent("VHS_LoadVideo", ["b.mp4", 24, "Disabled", 90, 2, 1, "image", {"hidden": False}]) == expected
    assert sent("VHS_LoadVideo", ["b.mp4", 24])["frame_load_cap"] == 0
    assert sent("VHS_LoadImages", ["e", "image", 3, 1, 2]) == {
        "directory": "e", "image_load_cap": 3, "skip_first_images": 1
    }  # fmt: skip
    video = sent("VHS_VideoCombine", [12, 1, "x", "video/h264-mp4", True, False, None])
    assert video == {
        "frame_rate": 12, "loop_count": 1, "filename_prefix": "x", "format": "video/h264-mp4", "pix_fmt": "yuv420p",
        "crf": 19, "trim_to_audio": False, "pingpong": True, "save_output": False,
    }  # fmt: skip


def test_the_fields_of_a_format() -> None:
    """Those that the file doesn't name have their defaults, those of another format are not sent."""
    inputs = sent(
        "VHS_VideoCombine", {**CLIP, "format": "video/h264-mp4", "crf": 17.6, "bitrate": 5, "audio_file": "x"}
    )
    assert inputs == {**CLIP, "format": "video/h264-mp4", "pix_fmt": "yuv420p", "crf": 18, "trim_to_audio": False}
    assert sent("VHS_VideoCombine", {**CLIP, "format": "image/gif", "crf": 17}) == {**CLIP, "format": "image/gif"}
    gone = sent("VHS_VideoCombine", {**CLIP, "format": "video/gone", "loop_count": 200})
    assert (gone["format"], gone["loop_count"]) == ("video/gone", 100)


def test_values_that_no_field_takes() -> None:
    """They are named, unless they are a button, a preview or a field of another format."""
    drawing = WorkflowBuilder()
    shown = {"videopreview": {"hidden": False}, "choose video to upload": "image", "crf": 19, "force_size": "Custom"}
    drawing.node(1, "VHS_VideoCombine", {**CLIP, **shown, "format": "image/gif", "audio_file": "a.mp3"})
    drawing.node(2, "VHS_LoadImages", ["e", "image", 3, 1, None, "x"])
    (warning,) = converted(drawing).warnings
    assert warning.node_id == "1"
    assert "'audio_file': 'a.mp3'" in warning.message


def test_a_former_name() -> None:
    """`save_image` was the name of `save_output`, which wins where both are there."""
    older = {name: value for name, value in CLIP.items() if name != "save_output"}
    assert sent("VHS_VideoCombine", {**older, "save_image": False})["save_output"] is False
    assert sent("VHS_VideoCombine", {**CLIP, "save_image": False})["save_output"] is True


def test_a_field_of_a_format_that_is_linked() -> None:
    """A primitive's value is rounded and bounded like any field's; a real node is linked in."""
    drawing = WorkflowBuilder()
    for number, kind, values in ((1, "PrimitiveNode", [17.6, "fixed"]), (2, "Number", [7, "fixed"])):
        drawing.node(number, kind, values)
        drawing.node(number + 2, "VHS_VideoCombine", {**CLIP, "format": "video/h264-mp4", "crf": 30})
        drawing.link(number, 0, number + 2, "crf", "INT", widget=True)
    prompt = converted(drawing).prompt
    assert prompt["3"]["inputs"]["crf"] == 18
    assert prompt["4"]["inputs"]["crf"] == ["2", 0]


def test_a_primitive_into_a_rounded_field() -> None:
    """The pack's own rounding applies to it too."""
    drawing = WorkflowBuilder()
    drawing.node(1, "PrimitiveNode", [22, "fixed"])
    drawing.node(2, "VHS_LoadVideo", {**VIDEO, "format": "Wan"})
    drawing.link(1, 0, 2, "frame_load_cap", "INT", widget=True)
    assert converted(drawing).prompt["2"]["inputs"]["frame_load_cap"] == 21


def test_patterns_in_the_name_of_a_video() -> None:
    """The date and other nodes' fields are filled in."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Quote", ["a/b"], properties={"Node name for S&R": "Quote"})
    drawing.node(2, "VHS_VideoCombine", {**CLIP, "filename_prefix": "%date:yyyy-MM%/%Quote.text%"})
    assert converted(drawing).prompt["2"]["inputs"]["filename_prefix"] == "2031-02/a_b"


def test_a_slot_that_was_renamed() -> None:
    """`batch_manager` is `meta_batch` now, and the count of batches goes with it."""
    drawing = WorkflowBuilder()
    drawing.node(1, "VHS_BatchManager", {"frames_per_batch": 16, "count": 3})
    drawing.node(2, "VHS_LoadVideo", VIDEO)
    drawing.link(1, 0, 2, "batch_manager", "VHS_BatchManager")
    prompt = converted(drawing).prompt
    assert prompt["1"]["inputs"] == {"frames_per_batch": 16, "count": 3}
    assert prompt["2"]["inputs"]["meta_batch"] == ["1", 0]
    assert "batch_manager" not in prompt["2"]["inputs"]


def test_the_newest_file() -> None:
    """A browser looks for it, so what was saved is sent, with a warning."""
    drawing = WorkflowBuilder()
    drawing.node(1, "VHS_SelectLatest", {"filename_prefix": "x"})
    drawing.node(2, "VHS_LoadVideo", VIDEO)
    drawing.link(1, 0, 2, "video", "STRING", widget=True)
    conversion = converted(drawing)
    assert conversion.prompt.keys() == {"2"}
    assert conversion.prompt["2"]["inputs"]["video"] == "a.mp4"
    (warning,) = conversion.warnings
    assert (warning.node_id, warning.input) == ("2", "video")


def test_a_field_without_steps() -> None:
    """The file's number is sent: the script would make of it what no server takes."""
    assert sent("VHS_VAEDecodeBatched", {"per_batch": 12}) == {"per_batch": 12}
    assert sent("VHS_VAEDecodeBatched", [12]) == {"per_batch": 12}

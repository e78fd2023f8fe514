"""Tests of the rules of VideoHelperSuite."""

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


def convert_builder(builder: WorkflowBuilder) -> Conversion:
    """Return the conversion of a workflow."""
    return convert(builder.saved(), CATALOG, NOW)


def node_inputs(kind: str, values: Any) -> dict[str, Any]:
    """Return the inputs of a single node with these saved values."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values)
    return dict(convert_builder(builder).prompt["1"]["inputs"])


def converted_size(**values: Any) -> tuple[Any, Any]:
    """Return width and height of a video loader with these saved values."""
    inputs = node_inputs("VHS_LoadVideo", {**VIDEO, **values})
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
def test_force_size_becomes_width_and_height(force_size: Any, expected: tuple[int, int]) -> None:
    """convert turns the older `force_size` into width and height, rounded to the steps of the format."""
    assert converted_size(force_size=force_size) == expected


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
def test_the_format_of_a_loader(values: dict[str, Any], expected: dict[str, Any]) -> None:
    """convert rounds sizes and frames by the format, and replaces the values of the former format."""
    inputs = node_inputs("VHS_LoadVideo", {**VIDEO, **values})
    assert {name: inputs[name] for name in expected} == expected


def test_unnamed_fields_get_their_default() -> None:
    """convert sends the default of a field without a value, unless it is 0 or false."""
    inputs = node_inputs("VHS_LoadVideo", {"video": "b.mp4"})
    assert inputs == {"video": "b.mp4", "select_every_nth": 1, "format": "Plain"}
    assert node_inputs("VHS_VideoCombine", {}) == {
        "frame_rate": 8, "filename_prefix": "clip", "format": "image/gif", "save_output": True
    }  # fmt: skip


def test_lists_of_old_files() -> None:
    """convert reads the value lists of the pack's first versions, and shorter lists as usual."""
    expected = {"video": "b.mp4", "force_rate": 24, "custom_width": 0, "custom_height": 0, "frame_load_cap": 90}
    expected |= {"skip_first_frames": 2, "select_every_nth": 1, "format": "Plain"}
    assert node_inputs("VHS_LoadVideo", ["b.mp4", 24, "Disabled", 90, 2, 1, "image", {"hidden": False}]) == expected
    assert node_inputs("VHS_LoadVideo", ["b.mp4", 24])["frame_load_cap"] == 0
    assert node_inputs("VHS_LoadImages", ["e", "image", 3, 1, 2]) == {
        "directory": "e", "image_load_cap": 3, "skip_first_images": 1
    }  # fmt: skip
    video = node_inputs("VHS_VideoCombine", [12, 1, "x", "video/h264-mp4", True, False, None])
    assert video == {
        "frame_rate": 12, "loop_count": 1, "filename_prefix": "x", "format": "video/h264-mp4", "pix_fmt": "yuv420p",
        "crf": 19, "trim_to_audio": False, "pingpong": True, "save_output": False,
    }  # fmt: skip


def test_the_fields_of_a_format() -> None:
    """convert sends the fields of the chosen format with their defaults, and none of other formats."""
    inputs = node_inputs(
        "VHS_VideoCombine", {**CLIP, "format": "video/h264-mp4", "crf": 17.6, "bitrate": 5, "audio_file": "x"}
    )
    assert inputs == {**CLIP, "format": "video/h264-mp4", "pix_fmt": "yuv420p", "crf": 18, "trim_to_audio": False}
    assert node_inputs("VHS_VideoCombine", {**CLIP, "format": "image/gif", "crf": 17}) == {
        **CLIP,
        "format": "image/gif",
    }
    gone = node_inputs("VHS_VideoCombine", {**CLIP, "format": "video/gone", "loop_count": 200})
    assert (gone["format"], gone["loop_count"]) == ("video/gone", 100)


def test_unused_values_are_a_warning() -> None:
    """convert warns about unused values, except for buttons, previews and fields of other formats."""
    builder = WorkflowBuilder()
    shown = {"videopreview": {"hidden": False}, "choose video to upload": "image", "crf": 19, "force_size": "Custom"}
    builder.node(1, "VHS_VideoCombine", {**CLIP, **shown, "format": "image/gif", "audio_file": "a.mp3"})
    builder.node(2, "VHS_LoadImages", ["e", "image", 3, 1, None, "x"])
    (warning,) = convert_builder(builder).warnings
    assert warning.node_id == "1"
    assert "'audio_file': 'a.mp3'" in warning.message


def test_the_old_name_of_save_output() -> None:
    """convert reads `save_image` as `save_output` unless the file has both."""
    older = {name: value for name, value in CLIP.items() if name != "save_output"}
    assert node_inputs("VHS_VideoCombine", {**older, "save_image": False})["save_output"] is False
    assert node_inputs("VHS_VideoCombine", {**CLIP, "save_image": False})["save_output"] is True


def test_a_linked_field_of_a_format() -> None:
    """convert rounds a primitive's value for a field of a format, and links other nodes."""
    builder = WorkflowBuilder()
    for number, kind, values in ((1, "PrimitiveNode", [17.6, "fixed"]), (2, "Number", [7, "fixed"])):
        builder.node(number, kind, values)
        builder.node(number + 2, "VHS_VideoCombine", {**CLIP, "format": "video/h264-mp4", "crf": 30})
        builder.link(number, 0, number + 2, "crf", "INT", widget=True)
    prompt = convert_builder(builder).prompt
    assert prompt["3"]["inputs"]["crf"] == 18
    assert prompt["4"]["inputs"]["crf"] == ["2", 0]


def test_a_primitive_into_a_rounded_field() -> None:
    """convert applies the rounding of the pack to the value of a primitive."""
    builder = WorkflowBuilder()
    builder.node(1, "PrimitiveNode", [22, "fixed"])
    builder.node(2, "VHS_LoadVideo", {**VIDEO, "format": "Wan"})
    builder.link(1, 0, 2, "frame_load_cap", "INT", widget=True)
    assert convert_builder(builder).prompt["2"]["inputs"]["frame_load_cap"] == 21


def test_placeholders_in_the_name_of_a_video() -> None:
    """convert replaces date and field placeholders in the prefix of VHS_VideoCombine."""
    builder = WorkflowBuilder()
    builder.node(1, "Quote", ["a/b"], properties={"Node name for S&R": "Quote"})
    builder.node(2, "VHS_VideoCombine", {**CLIP, "filename_prefix": "%date:yyyy-MM%/%Quote.text%"})
    assert convert_builder(builder).prompt["2"]["inputs"]["filename_prefix"] == "2031-02/a_b"


def test_the_old_name_of_meta_batch() -> None:
    """convert reads the slot `batch_manager` as `meta_batch`, and sends the count of the manager."""
    builder = WorkflowBuilder()
    builder.node(1, "VHS_BatchManager", {"frames_per_batch": 16, "count": 3})
    builder.node(2, "VHS_LoadVideo", VIDEO)
    builder.link(1, 0, 2, "batch_manager", "VHS_BatchManager")
    prompt = convert_builder(builder).prompt
    assert prompt["1"]["inputs"] == {"frames_per_batch": 16, "count": 3}
    assert prompt["2"]["inputs"]["meta_batch"] == ["1", 0]
    assert "batch_manager" not in prompt["2"]["inputs"]


def test_select_latest_is_a_warning() -> None:
    """convert sends the saved value of a field that VHS_SelectLatest feeds, with a warning."""
    builder = WorkflowBuilder()
    builder.node(1, "VHS_SelectLatest", {"filename_prefix": "x"})
    builder.node(2, "VHS_LoadVideo", VIDEO)
    builder.link(1, 0, 2, "video", "STRING", widget=True)
    conversion = convert_builder(builder)
    assert conversion.prompt.keys() == {"2"}
    assert conversion.prompt["2"]["inputs"]["video"] == "a.mp4"
    (warning,) = conversion.warnings
    assert (warning.node_id, warning.input) == ("2", "video")


def test_a_field_without_steps() -> None:
    """convert keeps the number of a field without a step."""
    assert node_inputs("VHS_VAEDecodeBatched", {"per_batch": 12}) == {"per_batch": 12}
    assert node_inputs("VHS_VAEDecodeBatched", [12]) == {"per_batch": 12}

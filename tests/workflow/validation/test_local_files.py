"""Validators that check files on disk, as a local ComfyUI does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workflow.prompts import link, node
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import LocalFiles
from worker.workflow.validation.validate import validate

CUSTOM, RAISED = "custom_validation_failed", "exception_during_inner_validation"


def entry(**inputs: Any) -> Any:
    return {"input": {"required": inputs}, "output": ["*"], "output_name": ["*"], "output_node": False}


TEXT, NUMBER, FLAG = ["STRING", {}], ["INT", {}], ["BOOLEAN", {}]
CATALOG = Catalog.bundled().with_classes(
    {
        "ImageReceiver": entry(
            image=[["a.png"]], link_id=NUMBER, save_to_workflow=FLAG, image_data=TEXT, trigger_always=FLAG
        ),
        "LatentReceiver": entry(latent=[[]], link_id=NUMBER, trigger_always=FLAG),
        "LoadText|pysssss": entry(root_dir=[["input", "output"]], file=[["[none]"]]),
        "LoadAndResizeImage": entry(image=[["a.png"]]),
        "Combo Clone": {**entry(combo=["COMBO", {"options": ["one"]}]), "api_node": False},
        "DisplayAny": entry(input=["*", {}]),
    }
)
REST: dict[str, dict[str, Any]] = {
    "ImageReceiver": {"link_id": 1, "save_to_workflow": False, "image_data": "", "trigger_always": False},
    "LatentReceiver": {"link_id": 1, "trigger_always": False},
    "WebcamCapture": {"width": 0, "height": 0, "capture_on_queue": True},
    "LoadText|pysssss": {"root_dir": "input"},
}


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    for name in ("input/a.png", "input/sub/b.png", "output/o.png", "paths/clip.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "input" / "empty").mkdir()
    folders = {kind: tmp_path / kind for kind in ("input", "output", "temp")}
    return LocalFiles(folders, tmp_path, expected=["coming.png"])


def kinds(class_type: str, name: str, value: Any, files: LocalFiles) -> set[str]:
    """Return the error types of a node whose input has this value."""
    spec = CATALOG[class_type]
    values = {inner.name: inner.default for inner in spec.inputs if inner.default is not None} | REST.get(
        class_type, {}
    )
    prompt = {"1": node(class_type, **{**values, name: value}), "2": node("PreviewAny", source=link("1"))}
    errors: Any = validate(prompt, CATALOG, files).node_errors
    return {error["type"] for entry in errors.values() for error in entry["errors"]} - {"required_input_missing"}


@pytest.mark.parametrize(
    ("class_type", "name", "good", "bad", "raising"),
    [
        (
            "LoadImage",
            "image",
            ["a.png", "sub/b.png", "sub", "o.png [output]", "coming.png"],
            ["no.png", "../a.png"],
            [],
        ),
        ("WebcamCapture", "image", ["a.png", "sub/../a.png"], ["no.png", "no.png [temp]", "/etc/hostname"], []),
        ("LoadAndResizeImage", "image", ["sub/b.png"], ["no.png"], [5]),
        ("Load3D", "model_file", ["", "none", "sub/b.png"], ["3d/no.glb", "../a.png"], []),
        ("VHS_LoadVideo", "video", ["a.png"], ["no.mp4", '"a.png"'], []),
        (
            "VHS_LoadVideoPath",
            "video",
            ["paths/clip.mp4", ' "paths/clip.mp4" ', "https://a/b"],
            ["paths", "ftp://a/b"],
            [],
        ),
        ("VHS_LoadImagePath", "image", ["input/a.png", "http://a"], ["", "input/", "no.png"], []),
        ("VHS_LoadAudio", "audio_file", ["paths/clip.mp4"], ["paths/", "paths/*"], []),
        ("VHS_LoadAudioUpload", "audio", ["a.png", '"sub/b.png"'], ["sub", "no.mp3"], ["../a.png", "/a.png"]),
        ("VHS_LoadImages", "directory", ["sub", ".", " sub "], ["empty", "a.png", "no"], ["..", "/etc"]),
        ("VHS_LoadImagesPath", "directory", ["input", "input/sub/"], ["", "input/empty", "no", "input/a.png"], []),
        ("ImageReceiver", "image", ["a.png", "#DATA"], ["no.png", "sub/../a.png"], [5]),
        ("LatentReceiver", "latent", ["a.png"], ["no.latent", "sub/../a.png"], []),
        ("LoadText|pysssss", "file", ["[none]", "", "new.txt", "sub/new.txt"], [], ["../new.txt", "/new.txt"]),
        ("Combo Clone", "combo", ["anything"], [5], []),
        ("DisplayAny", "input", ["anything", 5], [], []),
        ("FluxProUltraImageNode", "aspect_ratio", ["16:9", "1:4", " 4 : 1 "], [], ["5:1", "a:b", "16", "0:1"]),
    ],
)
def test_file_names_are_checked_as_in_comfyui(
    class_type: str, name: str, good: list[Any], bad: list[Any], raising: list[Any], files: LocalFiles
) -> None:
    """Each name is valid, has an error or raises an exception, as in a real ComfyUI with these files."""
    reported = {repr(value): kinds(class_type, name, value, files) for value in (*good, *bad, *raising)}
    expected = {repr(value): set() for value in good} | {repr(value): {CUSTOM} for value in bad}
    assert reported == expected | {repr(value): {RAISED} for value in raising}


def test_a_text_folder_that_is_not_listed(files: LocalFiles) -> None:
    """It raises an exception if a file is chosen, and nothing otherwise."""
    assert kinds("LoadText|pysssss", "root_dir", "no such", files) == {RAISED}
    prompt = {
        "1": node("LoadText|pysssss", root_dir="no such", file="[none]"),
        "2": node("PreviewAny", source=link("1")),
    }
    assert validate(prompt, CATALOG, files).accepted


def test_undeclared_links_are_arguments_too(files: LocalFiles) -> None:
    """A validator that accepts any argument reports its error for undeclared links too."""
    prompt = {
        "1": node("VHS_LoadImagesPath", directory="no", extra=link("2"), other=1),
        "2": node("PreviewAny", source=link("1")),
    }
    errors: Any = validate(prompt, CATALOG, files).node_errors["1"]
    assert {error["extra_info"]["input_name"] for error in errors["errors"]} == {"directory", "extra", "unique_id"}


def test_only_listed_files_are_valid_choices(files: LocalFiles) -> None:
    """A file that exists but is not listed is rejected for a class without a validator, as by ComfyUI."""
    listed = CATALOG.with_classes({"TextLoadFile": entry(text_file=[["listed.txt"]])})
    prompt = {"1": node("TextLoadFile", text_file="a.png"), "2": node("PreviewAny", source=link("1"))}
    assert not validate(prompt, listed, files).accepted


def test_files_of_unknown_folders_are_assumed_to_exist(tmp_path: Path) -> None:
    """If a folder of ComfyUI is not accessible, its files count as existing."""
    local_files = LocalFiles({"input": tmp_path}, None)
    assert kinds("LoadImage", "image", "no.png [temp]", local_files) == set()
    assert kinds("VHS_LoadVideoPath", "video", "/no/clip.mp4", local_files) == set()
    assert kinds("LoadImage", "image", "no.png", local_files) == {CUSTOM}

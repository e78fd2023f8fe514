"""The checks of classes that look for files, against files on a disk, as a ComfyUI of this machine makes them."""

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
    """Types of errors of a node whose input has that value; numbers and texts that it needs are there."""
    spec = CATALOG[class_type]
    given = {one.name: one.default for one in spec.inputs if one.default is not None} | REST.get(class_type, {})
    prompt = {"1": node(class_type, **{**given, name: value}), "2": node("PreviewAny", source=link("1"))}
    errors: Any = validate(prompt, CATALOG, files).node_errors
    return {error["type"] for found in errors.values() for error in found["errors"]} - {"required_input_missing"}


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
def test_names_as_the_server_takes_them(
    class_type: str, name: str, good: list[Any], bad: list[Any], raising: list[Any], files: LocalFiles
) -> None:
    """Each name passes, is complained of, or is an exception, as a real ComfyUI with these files has it."""
    found = {repr(value): kinds(class_type, name, value, files) for value in (*good, *bad, *raising)}
    expected = {repr(value): set() for value in good} | {repr(value): {CUSTOM} for value in bad}
    assert found == expected | {repr(value): {RAISED} for value in raising}


def test_a_folder_of_texts_that_is_not_listed(files: LocalFiles) -> None:
    """It is an exception where a file is named, and nothing where none is."""
    assert kinds("LoadText|pysssss", "root_dir", "no such", files) == {RAISED}
    prompt = {
        "1": node("LoadText|pysssss", root_dir="no such", file="[none]"),
        "2": node("PreviewAny", source=link("1")),
    }
    assert validate(prompt, CATALOG, files).accepted


def test_every_complaint_names_the_links_that_the_class_does_not_declare(files: LocalFiles) -> None:
    """A check that takes all inputs is handed None for those, too, and complains of each."""
    prompt = {
        "1": node("VHS_LoadImagesPath", directory="no", extra=link("2"), other=1),
        "2": node("PreviewAny", source=link("1")),
    }
    errors: Any = validate(prompt, CATALOG, files).node_errors["1"]
    assert {error["extra_info"]["input_name"] for error in errors["errors"]} == {"directory", "extra", "unique_id"}


def test_choices_take_what_is_listed_only(files: LocalFiles) -> None:
    """A file that is there and is not in the list of a class without a check of its own is refused, as by ComfyUI."""
    listed = CATALOG.with_classes({"TextLoadFile": entry(text_file=[["listed.txt"]])})
    prompt = {"1": node("TextLoadFile", text_file="a.png"), "2": node("PreviewAny", source=link("1"))}
    assert not validate(prompt, listed, files).accepted


def test_folders_that_are_not_known_have_every_file(tmp_path: Path) -> None:
    """Of a ComfyUI whose temporary folder or working directory can't be reached, nothing is said to be missing."""
    known = LocalFiles({"input": tmp_path}, None)
    assert kinds("LoadImage", "image", "no.png [temp]", known) == set()
    assert kinds("VHS_LoadVideoPath", "video", "/no/clip.mp4", known) == set()
    assert kinds("LoadImage", "image", "no.png", known) == {CUSTOM}

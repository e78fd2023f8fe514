"""The checks that single classes make of their inputs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import empty, link, node
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.packs.named_files import uploaded
from worker.workflow.validation.validate import validate

CATALOG = Catalog.bundled()


class Folder:
    """A machine with four files."""

    def exists(self, folder: str, name: str) -> bool:
        return (folder, name) in {("input", "a.png"), ("input", "sub/a.png"), ("temp", "t.png"), ("output", "o.png")}


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a.png", True),
        ("sub/a.png", True),
        ("a.png [input]", True),
        ("t.png [temp]", True),
        ("o.png [output]", True),
        ("o.png", False),
        ("t.png[temp]", False),
        ("b.png", False),
        ("../a.png", False),
        ("sub/../../a.png", False),
        ("/a.png", False),
        ("a\0.png", False),
        ("", True),
    ],
)
def test_names_of_uploads(name: str, there: bool) -> None:
    """A mark names the folder, exactly one character before it is cut off, and no name leaves its folder."""
    assert uploaded(name, Folder()) is there


def test_a_name_that_leaves_its_folder_is_never_assumed() -> None:
    """Even where all files are taken for present, one outside is not."""
    assert uploaded("b.png", AssumeFiles())
    assert not uploaded("../b.png", AssumeFiles())


def complaints(class_type: str, **inputs: Any) -> list[tuple[str, str]]:
    prompt = {"0": empty(), "1": node(class_type, **inputs), "2": node("PreviewAny", source=link("1"))}
    entry: Any = validate(prompt, CATALOG, Folder()).node_errors.get("1", {"errors": []})
    return [(error["type"], error["details"]) for error in entry["errors"]]


@pytest.mark.parametrize(
    ("class_type", "inputs", "expected"),
    [
        ("LoadImage", {"image": "a.png"}, []),
        ("LoadImage", {"image": "b.png"}, ["image - Invalid image file: b.png"]),
        ("LoadImageMask", {"image": "b.png", "channel": "red"}, ["image - Invalid image file: b.png"]),
        ("LoadVideo", {"file": "b.mp4"}, ["file - Invalid video file: b.mp4"]),
        ("LoadAudio", {"audio": "b.mp3"}, ["audio - Invalid audio file: b.mp3"]),
        ("LoadLatent", {"latent": "b.latent"}, ["latent - Invalid latent file: b.latent"]),
        ("TwoWaySwitch", {"selection_setting": 99}, []),
        ("CustomCombo", {"choice": "anything", "option0": "x"}, []),
        ("SelectModelDevice", {"device": "gpu:9", "model": 1}, []),
    ],
)
def test_node_validators_as_the_server_tells_them(class_type: str, inputs: dict[str, Any], expected: list[str]) -> None:
    """A complaint is told for each input that the check was handed; what a check takes, the server leaves alone."""
    assert complaints(class_type, **inputs) == [("custom_validation_failed", text) for text in expected]


def test_a_check_that_takes_everything_tells_its_complaint_on_every_input() -> None:
    """Load3D's check is handed all inputs, so that a missing file is reported on each."""
    told = complaints("Load3D", model_file="b.glb", image="", width=1, height=99_999)
    assert sorted(told) == sorted(
        ("custom_validation_failed", f"{name} - Invalid 3D model file: b.glb")
        for name in ("model_file", "image", "width", "height")
    )
    assert complaints("Load3D", model_file="none", image="", width=1, height=99_999) == []


def test_a_missing_argument_is_the_exception_it_is_in_python() -> None:
    """A loader without its file is reported by the node that uses it, in Python's words."""
    told = "LoadImage.VALIDATE_INPUTS() missing 1 required positional argument: 'image'"
    assert complaints("LoadImage") == [("exception_during_inner_validation", told)]


def test_a_linked_file_name_is_the_exception_it_is_in_python() -> None:
    """A file's name that comes over a link is None to the check, which the server does not survive."""
    told = [("exception_during_inner_validation", "'NoneType' object has no attribute 'endswith'")]
    assert complaints("LoadImage", image=["0", 0]) == told

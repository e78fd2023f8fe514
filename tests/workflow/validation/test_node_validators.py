"""Validators of single node classes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import empty, link, node
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.packs.named_files import upload_exists
from worker.workflow.validation.validate import validate

CATALOG = Catalog.bundled()


class FourFiles:
    """A machine with four files."""

    def exists(self, folder: str, name: str) -> bool:
        return (folder, name) in {("input", "a.png"), ("input", "sub/a.png"), ("temp", "t.png"), ("output", "o.png")}


@pytest.mark.parametrize(
    ("name", "exists"),
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
def test_upload_exists_checks_names_as_comfyui(name: str, exists: bool) -> None:
    """`[temp]` selects the folder, the character before it is removed, and a name may not leave its folder."""
    assert upload_exists(name, FourFiles()) is exists


def test_a_name_outside_of_its_folder_never_exists() -> None:
    """This also holds if all files are assumed to exist."""
    assert upload_exists("b.png", AssumeFiles())
    assert not upload_exists("../b.png", AssumeFiles())


def errors_of_prompt(class_type: str, **inputs: Any) -> list[tuple[str, str]]:
    """Return the errors of each node."""
    prompt = {"0": empty(), "1": node(class_type, **inputs), "2": node("PreviewAny", source=link("1"))}
    entry: Any = validate(prompt, CATALOG, FourFiles()).node_errors.get("1", {"errors": []})
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
def test_validators_report_the_errors_of_comfyui(class_type: str, inputs: dict[str, Any], expected: list[str]) -> None:
    """An error is reported for each argument, and the server skips its own checks of these inputs."""
    assert errors_of_prompt(class_type, **inputs) == [("custom_validation_failed", text) for text in expected]


def test_load3d_reports_a_missing_file_for_every_input() -> None:
    """The validator of Load3D accepts every input as an argument."""
    errors = errors_of_prompt("Load3D", model_file="b.glb", image="", width=1, height=99_999)
    assert sorted(errors) == sorted(
        ("custom_validation_failed", f"{name} - Invalid 3D model file: b.glb")
        for name in ("model_file", "image", "width", "height")
    )
    assert errors_of_prompt("Load3D", model_file="none", image="", width=1, height=99_999) == []


def test_a_missing_argument_raises_type_error() -> None:
    """The error has Python's message, and the node that uses the loader reports it."""
    message = "LoadImage.VALIDATE_INPUTS() missing 1 required positional argument: 'image'"
    assert errors_of_prompt("LoadImage") == [("exception_during_inner_validation", message)]


def test_a_linked_file_name_raises_an_exception() -> None:
    """A linked file name is None for the validator, which raises an exception."""
    expected = [("exception_during_inner_validation", "'NoneType' object has no attribute 'endswith'")]
    assert errors_of_prompt("LoadImage", image=["0", 0]) == expected

"""A workflow may name only the job's own files and files that the operator opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.inputs.files import loading
from tests.workflows import picture
from worker.errors import FileNotAllowed, StartupError
from worker.inputs.file_inputs import FileKind, OpenFolders, file_inputs
from worker.inputs.paths.name_check import check_names
from worker.inputs.sources import find_sources
from worker.job import InputFile, JobRequest
from worker.workflow.catalog.catalog import Catalog

JOB = "job-0123456789abcdef0123456789abcdef"
NOTHING_OPEN = OpenFolders.read("", None)


def check(workflow: dict[str, Any], opened: OpenFolders = NOTHING_OPEN) -> None:
    places = list(file_inputs(workflow, Catalog.bundled()))  # type: ignore[arg-type]
    check_names(workflow, places, find_sources(JobRequest(workflow), places).by_text, opened)  # type: ignore[arg-type]


TRAVERSAL = [
    "../outside.png",
    "../../../../etc/passwd",
    "a/../../outside.png",
    "/etc/passwd",
    "//etc/passwd",
    "~/x.png",
    "..\\outside.png",
    "C:\\Windows\\win.ini",
    "\\\\server\\share\\x.png",
    "x.png\x00.png",
    "x\n.png",
    "../outside.png [input]",
    "../outside.png[output]",
    "/etc/passwd [temp]",
    "other.png",
    "other.png [input]",
    "result.png [output]",
    "result.png.[output]",
    "preview.png [temp]",
    f"{JOB}/photo.png",
    f"{JOB.upper()}/photo.png",
    f"./{JOB}/photo.png",
    f"x/../{JOB}/photo.png",
    f"{JOB}/photo.png [input]",
    {"__value__": "../outside.png"},
    {"__value__": "other.png"},
    ["3", 0],
]


@pytest.mark.parametrize("value", TRAVERSAL, ids=repr)
def test_a_workflow_names_only_its_own_files(value: object) -> None:
    """check_names refuses relative, absolute and linked names of files that are not in the request."""
    workflow = loading(value) | {"3": {"class_type": "PrimitiveString", "inputs": {"value": "other.png"}}}
    with pytest.raises(FileNotAllowed) as refused:
        check(workflow)
    detail = refused.value.details[0]
    assert (detail.node_id, detail.node_title, detail.input) == ("1", "Photo", "image")
    assert detail.suggestion


OTHER_CLASSES = [
    ("LoadImageMask", "image", "../x.png"),
    ("LoadImageOutput", "image", "x.png [output]"),
    ("LoadAudio", "audio", "/etc/passwd"),
    ("LoadVideo", "file", "x.mp4"),
    ("LoadLatent", "latent", "x.latent"),
    ("TextLoadFile", "text_file", "../../etc/passwd"),
    ("Load3D", "model_file", "3d/x.glb"),
    ("Painter", "mask", "x.png"),
    ("VHS_LoadVideoPath", "video", "/etc/passwd"),
    ("VHS_LoadVideoPath", "video", "output/other.mp4"),
    ("VHS_LoadVideoFFmpegPath", "video", "input/other.mp4"),
    ("VHS_LoadImagesPath", "directory", "."),
    ("VHS_LoadImages", "directory", "3d"),
    ("VHS_LoadAudio", "audio_file", "input/other.wav"),
    ("VHS_SelectLatest", "filename_prefix", "output/AnimateDiff"),
    ("CheckpointLoaderSimple", "ckpt_name", "../../x.safetensors"),
    ("LoraLoader", "lora_name", "/x.safetensors"),
    ("VAELoader", "vae_name", "..\\..\\x.safetensors"),
    ("LoadImageDataSetFromFolder", "folder", JOB),
    ("CLIPTextEncode", "text", f"see {JOB}/photo.png"),
]


@pytest.mark.parametrize(("class_type", "name", "value"), OTHER_CLASSES)
def test_every_class_that_opens_files(class_type: str, name: str, value: str) -> None:
    """check_names checks loaders, path inputs, model names, and any input that names a job's folder."""
    with pytest.raises(FileNotAllowed) as refused:
        check(picture() | {"9": loading(value, class_type, name)["1"]})
    assert refused.value.details[0].class_type == class_type


@pytest.mark.parametrize(
    ("class_type", "name", "value"),
    [
        ("Load3D", "model_file", "none"),
        ("Painter", "mask", ""),
        ("CheckpointLoaderSimple", "ckpt_name", "sdxl/base.safetensors"),
        ("LoraLoader", "lora_name", "sdxl\\style..v2.safetensors"),
        ("CLIPTextEncode", "text", "../../etc/passwd, https://example.com/a.png, /tmp, job-1"),
        ("SaveImage", "filename_prefix", "a/b"),
    ],
)
def test_texts_that_name_no_file_pass(class_type: str, name: str, value: str) -> None:
    """check_names accepts empty values, models in folders, and texts that only look like paths."""
    check(picture() | {"9": loading(value, class_type, name)["1"]})


def test_a_file_of_the_same_name_opens_no_other_file() -> None:
    """check_names refuses a path with another job's folder, even if the request has a file of that name."""
    workflow = loading(f"{JOB}/photo.png") | {"9": loading(f"{JOB}/photo.png", "SomePack", "path")["1"]}
    places = list(file_inputs(workflow, Catalog.bundled()))  # type: ignore[arg-type]
    request = JobRequest(workflow, inputs=(InputFile("photo.png", Path("photo.png"), 1, ""),))
    with pytest.raises(FileNotAllowed) as refused:
        check_names(workflow, places, find_sources(request, places).by_text, NOTHING_OPEN)  # type: ignore[arg-type]
    assert [detail.node_id for detail in refused.value.details] == ["1", "9"]


def test_all_bad_names_are_reported_at_once() -> None:
    """check_names raises one error with a detail for each bad name."""
    with pytest.raises(FileNotAllowed) as refused:
        check(loading("/a.png") | {"8": loading("b.png")["1"], "9": loading(f"{JOB}/c.png")["1"]})
    assert [detail.node_id for detail in refused.value.details] == ["1", "8", "9", "9"]


@pytest.mark.parametrize("entry", ["../x", "/etc", "models", "input/../..", "~"])
def test_a_folder_that_can_not_be_opened_stops_the_start(entry: str) -> None:
    """OpenFolders.read raises StartupError for a folder that workflows cannot name."""
    with pytest.raises(StartupError, match="WORKER_INPUT_FOLDERS"):
        OpenFolders.read(f"input/a, {entry}", None)


def test_the_catalog_says_which_inputs_are_files() -> None:
    """file_inputs finds inputs by their folders and by the upload marks of any pack."""
    catalog = Catalog.from_object_info(
        {"Pack": orjson.loads('{"input": {"required": {"a": [["x"], {"image_upload": true}], "b": ["STRING", {}]}}}')}
    )
    prompt = {
        "1": {"class_type": "Pack", "inputs": {"a": "x", "b": "y"}},
        "2": {"class_type": "No", "inputs": {"a": "x"}},
    }
    assert [(place.key, place.kind) for place in file_inputs(prompt, catalog)] == [(("1", "a"), FileKind.IMAGE)]  # type: ignore[arg-type]
    bundled = Catalog.bundled()
    prompt = {"1": {"class_type": "LoadVideo", "inputs": {"file": "a.mp4"}}}
    assert [place.kind for place in file_inputs(prompt, bundled)] == [FileKind.VIDEO]  # type: ignore[arg-type]

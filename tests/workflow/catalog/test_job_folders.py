"""Removal of job folders from catalogs and messages."""

from __future__ import annotations

from typing import Any

import pytest

from worker.inputs.file_inputs import file_inputs
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.common import common_catalog
from worker.workflow.catalog.job_folders import response_without_job_folders, text_without_job_folders

JOB = "job-0123456789abcdef0123456789abcdef"
OTHER = "job-" + "f" * 32


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"folder: 'x' not in ['3d', '{JOB}']", "folder: 'x' not in ['3d']"),
        (f"'x' not in ['{JOB}', '3d']", "'x' not in ['3d']"),
        (f"'x' not in ['{JOB}', '{OTHER}']", "'x' not in []"),
        (f"'x' not in ['a', '{JOB}', '{JOB}/sub', '{OTHER}/a b.png', 'z']", "'x' not in ['a', 'z']"),
        (f'"x" not in ["{JOB}/it\'s.png", "b"]', '"x" not in ["b"]'),
        (f"not in (list of length 40) ['{JOB}'", "not in (list of length 40) [''"),
        (f"Invalid image file: {JOB}/a.png", "Invalid image file: a.png"),
        (f"[Errno 2] No such file: '/comfy/input/{JOB}/a.png'", "[Errno 2] No such file: '/comfy/input/a.png'"),
        (f"C:\\input\\{JOB}\\a.png and {OTHER.upper()}", "C:\\input\\a.png and "),
        ("job-12 and job-x", "job-12 and job-x"),
    ],
)
def test_texts_lose_job_folders(written: str, shown: str) -> None:
    """List entries are removed together with their comma, and a file keeps only its name."""
    assert text_without_job_folders(written) == shown


def test_error_responses_lose_job_folders() -> None:
    """Job folders are removed from lists, objects and texts."""
    config = [["3d", JOB, {"content": f"{JOB}/a.png", "image": None}], {"default": JOB}]
    refused = {"details": f"'x' not in ['3d', '{JOB}']", "extra_info": {"input_config": config, "n": 1}}
    expected = {"details": "'x' not in ['3d']", "extra_info": {"input_config": [["3d"], {"default": ""}], "n": 1}}
    assert response_without_job_folders(refused) == expected


def _catalog(*choices: str) -> Catalog:
    """Return a catalog of one class whose choices list these names."""
    inputs: dict[str, Any] = {"where": [["plain", *choices], {}], "mode": [["a", "b"], {}]}
    newer = {"folder": ["COMBO", {"options": ["plain", *choices]}]}
    return Catalog.from_object_info({"Pack": {"input": {"required": inputs, "optional": newer}}}).without_job_folders()


def _file_inputs(catalog: Catalog) -> list[str]:
    """Return the names of the file inputs of the class."""
    prompt = {"1": {"class_type": "Pack", "inputs": {"where": "plain", "mode": "a", "folder": "plain"}}}
    return [place.input for place in file_inputs(prompt, catalog) if place.accepts_upload]  # type: ignore[arg-type]


def test_an_input_that_listed_a_job_folder_is_a_file_input() -> None:
    """The catalog hides the folder, and the input counts as a file input, for a class of any pack."""
    catalog = _catalog(JOB)
    assert catalog["Pack"].by_name["where"].options == ("plain",)
    assert catalog["Pack"].by_name["folder"].options == ("plain",)
    assert JOB not in str(catalog.object_info("Pack"))
    assert _file_inputs(catalog) == ["where", "folder"]
    assert _file_inputs(_catalog()) == []


def test_file_inputs_are_remembered() -> None:
    """The input stays a file input when the class is read again without a job folder, and in a common catalog."""
    later = _catalog(JOB).with_classes({"Pack": _catalog("more").object_info("Pack")})
    assert _file_inputs(later) == ["where", "folder"]
    assert _file_inputs(common_catalog([_catalog(JOB, "one"), _catalog(OTHER, "two")])) == ["where", "folder"]

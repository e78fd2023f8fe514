"""Folders of jobs: no catalog and no sentence has their names, and what lists them takes files."""

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
def test_sentences(written: str, shown: str) -> None:
    """Entries of lists go with their comma, and a file keeps its name alone."""
    assert text_without_job_folders(written) == shown


def test_a_refusal() -> None:
    """In its lists, its objects and its sentences."""
    config = [["3d", JOB, {"content": f"{JOB}/a.png", "image": None}], {"default": JOB}]
    refused = {"details": f"'x' not in ['3d', '{JOB}']", "extra_info": {"input_config": config, "n": 1}}
    expected = {"details": "'x' not in ['3d']", "extra_info": {"input_config": [["3d"], {"default": ""}], "n": 1}}
    assert response_without_job_folders(refused) == expected


def _catalog(*choices: str) -> Catalog:
    inputs: dict[str, Any] = {"where": [["plain", *choices], {}], "mode": [["a", "b"], {}]}
    newer = {"folder": ["COMBO", {"options": ["plain", *choices]}]}
    return Catalog.from_object_info({"Pack": {"input": {"required": inputs, "optional": newer}}}).without_job_folders()


def _places(catalog: Catalog) -> list[str]:
    prompt = {"1": {"class_type": "Pack", "inputs": {"where": "plain", "mode": "a", "folder": "plain"}}}
    return [place.input for place in file_inputs(prompt, catalog) if place.uploads]  # type: ignore[arg-type]


def test_what_lists_a_job_takes_files() -> None:
    """An input of a class of any pack whose choices have a job's folder, which no choice of the catalog shows."""
    catalog = _catalog(JOB)
    assert catalog["Pack"].by_name["where"].options == ("plain",)
    assert catalog["Pack"].by_name["folder"].options == ("plain",)
    assert JOB not in str(catalog.object_info("Pack"))
    assert _places(catalog) == ["where", "folder"]
    assert _places(_catalog()) == []


def test_it_is_remembered() -> None:
    """When the class is read again without such a folder, and where several engines have the class."""
    later = _catalog(JOB).with_classes({"Pack": _catalog("more").object_info("Pack")})
    assert _places(later) == ["where", "folder"]
    assert _places(common_catalog([_catalog(JOB, "one"), _catalog(OTHER, "two")])) == ["where", "folder"]

"""Warnings about fleets that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fleet.wishes import FLEET, IMAGE
from worker.fleet.definition.fleet_file import read_fleet
from worker.fleet.definition.fleet_id import new_id, with_id
from worker.fleet.plan.warnings import warnings
from worker.settings import Settings
from worker.workflow.templates.library import read_library

LIBRARY = read_library(Settings().templates)


def warned(*changes: tuple[str, str]) -> list[str]:
    text = FLEET
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return list(warnings(read_fleet(text, IMAGE), LIBRARY))


def test_a_fleet_that_works_has_no_warnings() -> None:
    """The fleet of the tests and the shipped one have no warnings."""
    shipped = with_id((Path(__file__).parents[3] / "vast.toml").read_text("utf-8"), new_id())
    assert warned() == list(warnings(read_fleet(shipped, IMAGE), LIBRARY)) == []


MODELS = 'WORKER_MODELS = "sdxl"'


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("disk_gb = 60", "disk_gb = 16", "disk_gb = 16 is too small for 6.9 GB of models, 6.8 GB of the image"),
        (MODELS, 'WORKER_MODELS = "sdxl,flux-schnell,flux-dev"', "disk_gb = 60 is too small"),
        (MODELS, 'WORKER_MODELS = "sdx"', "WORKER_MODELS names 'sdx'"),
        (MODELS, f'{MODELS}\nWORKER_MODELS_QUOTA_GIB = "5"', "no worker can become ready"),
        (MODELS, 'WORKER_MODELS_ON_DEMAND = "true"', "set WORKER_MODELS_QUOTA_GIB to at most 47"),
        (
            *(MODELS, 'WORKER_MODELS_ON_DEMAND = "true"\nWORKER_MODELS_QUOTA_GIB = "80"'),
            "WORKER_MODELS_QUOTA_GIB allows 86 GB on a disk of 60 GB",
        ),
        ("max_workers = 4\n", "max_workers = 4\ncold_workers = 5\n", "cold_workers = 5, but max_workers is 4"),
        ("max_workers = 4\n", "max_workers = 9\n", "max_workers = 9, but the sum of the groups' max_workers is 5"),
        ("max_workers = 4\n", "max_workers = 4\ncold_workers = 0\n", "there is no worker to wait for"),
        ("[readiness]", "[readiness]\nworkers = 6", "every apply times out"),
        ('"RTX 4090"', '"RTX4090"', "no offer at Vast has a GPU called 'RTX4090'; did you mean 'RTX 4090'?"),
        ('"RTX 4090"', '"NVIDIA GeForce RTX 4090"', "did you mean 'RTX 4090'?"),
        ('"RTX 4090"', '"rtx_4090"', "did you mean 'RTX 4090'?"),
        ('"RTX 4090"', '"RTX 4080 Super"', "did you mean 'RTX 4080S'?"),
        ('"RTX 4090"', '"A100 80GB"', "did you mean 'A100 PCIE' or 'A100 SXM4'?"),
    ],
)
def test_a_fleet_that_cannot_work_gets_a_warning(old: str, new: str, says: str) -> None:
    """Each warning has the numbers and the key to change."""
    (warning,) = warned((old, new))
    assert says in warning


@pytest.mark.parametrize("name", ["RTX_4090", "RTX 9090", "A100 SXM4", "Some new one"])
def test_a_gpu_may_be_a_new_one(name: str) -> None:
    """Only another spelling of a known GPU gets a warning."""
    assert warned(('"RTX 4090"', f'"{name}"')) == []


def test_models_that_two_templates_share_count_once() -> None:
    """A model in two templates counts once, and templates in the image's own folder are unknown here."""
    changed: list[Any] = [(MODELS, 'WORKER_MODELS = "sd15,sd15-res4lyf,own"\nWORKER_TEMPLATES = "/t"')]
    assert warned(*changed, ("disk_gb = 60", "disk_gb = 14")) == []

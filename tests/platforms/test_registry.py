"""The choice of a platform by its name or its environment."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.errors import UnknownPlatform
from worker.platforms.base import Detection, Platform, Traits
from worker.platforms.registry import AUTO, PLATFORMS, choose
from worker.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"


class Other(Platform):
    """A platform with a variable of its own."""

    name = "other"

    def detect(self, environ: Mapping[str, str]) -> Detection:
        return Detection("OTHER_ID" in environ, "OTHER_ID decides")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("name", ["none", "vast", "vast-local", "modal", "runpod"])
def test_each_platform_has_its_name(name: str) -> None:
    """A named platform is chosen, whatever the environment is."""
    assert choose(name, {"CONTAINER_ID": "1", "PUBLIC_IPADDR": "192.0.2.1"}).platform.name == name


def test_an_unknown_name_lists_the_known_ones() -> None:
    """The error for an unknown name lists the platforms."""
    with pytest.raises(UnknownPlatform, match="The platforms: auto, none, vast, vast-local, modal, runpod, other"):
        choose("vest", {}, (*PLATFORMS, Other()))


def test_a_new_platform_is_found_by_its_environment() -> None:
    """A new platform is detected with one entry in the registry, and otherwise all evidence is named."""
    platforms = (*PLATFORMS, Other())
    assert choose(AUTO, {"OTHER_ID": "1"}, platforms).platform.name == "other"
    nothing = choose(AUTO, {}, platforms)
    assert nothing.platform.name == "none"
    reasons = (
        "Vast's CONTAINER_ID and PUBLIC_IPADDR not set",
        "Modal's MODAL_TASK_ID not set",
        "RunPod's RUNPOD_WEBHOOK_GET_JOB and RUNPOD_ENDPOINT_ID not set",
        "OTHER_ID decides",
    )
    assert nothing.reason == "; ".join(reasons)


def test_what_a_platform_need_not_have() -> None:
    """A platform with only a name and `serve` has no checks, variables or links, and reports nothing."""
    platform = Other()
    platform.report_failure("why", {})
    assert (list(platform.check({})), list(platform.variables()), platform.sdk) == ([], [], None)


def test_a_simulated_platform_has_the_traits_of_the_real_one() -> None:
    """`vast-local` has the traits of Vast, and is never detected."""
    real, local = choose("vast", {}).platform, choose("vast-local", {}).platform
    assert local.traits is real.traits
    assert not local.detect({"CONTAINER_ID": "1", "PUBLIC_IPADDR": "192.0.2.1"}).found


def test_every_trait_and_method_has_its_row() -> None:
    """The page about platforms has one row for each trait and method."""
    rows = re.findall(r"^\| `(\w+)(?:\([a-z, ]*\))?` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    methods = [name for name, member in vars(Platform).items() if callable(member) and not name.startswith("_")]
    assert sorted(rows) == sorted([field.name for field in dataclasses.fields(Traits)] + methods)

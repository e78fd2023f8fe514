"""The choice of a platform by its name or its environment."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from worker.errors import UnclearPlatform, UnknownPlatform
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


RUNPOD_QUEUE = {
    "RUNPOD_WEBHOOK_GET_JOB": "https://api.example.com/v2/ep/job-take/$ID?gpu=A",
    "RUNPOD_WEBHOOK_POST_OUTPUT": "https://api.example.com/v2/ep/job-done/$RUNPOD_POD_ID/$ID?gpu=A",
    "RUNPOD_AI_API_KEY": "key-of-the-worker",
    "RUNPOD_POD_ID": "pod1",
    "RUNPOD_ENDPOINT_ID": "ep",
}
VAST = {"CONTAINER_ID": "1", "PUBLIC_IPADDR": "192.0.2.1"}


@pytest.mark.parametrize(
    ("environ", "name", "reason"),
    [
        (VAST, "vast", "CONTAINER_ID and PUBLIC_IPADDR are set"),
        (RUNPOD_QUEUE, "runpod", "a queue-based endpoint"),
        ({"RUNPOD_ENDPOINT_ID": "ep", "RUNPOD_POD_ID": "p"}, "runpod", "a load-balancing endpoint"),
        ({"RUNPOD_POD_ID": "p"}, "none", "RUNPOD_ENDPOINT_ID is not: a pod"),
        ({"MODAL_TASK_ID": "ta-1"}, "modal", "MODAL_TASK_ID is set"),
        ({"RUNPOD_API_KEY": "of a client", "VAST_API_KEY": "too"}, "none", "CONTAINER_ID and PUBLIC_IPADDR not set"),
        ({"CONTAINER_ID": "1"}, "none", "PUBLIC_IPADDR not set"),
        ({}, "none", "not set"),
    ],
)
def test_auto_finds_each_platform(environ: dict[str, str], name: str, reason: str) -> None:
    """`auto` chooses by the platforms' own variables, and the reason names them."""
    choice = choose(AUTO, environ)
    assert (choice.platform.name, reason in choice.reason) == (name, True), choice.reason


@pytest.mark.parametrize("other", [{"MODAL_TASK_ID": "ta-1"}, VAST, {**VAST, "MODAL_TASK_ID": "ta-1"}])
def test_variables_of_two_platforms_are_refused(other: dict[str, str]) -> None:
    """The error names the variables of each, and the setting that decides; a name decides without a question."""
    with pytest.raises(UnclearPlatform) as caught:
        choose(AUTO, {**RUNPOD_QUEUE, **other})
    message = str(caught.value)
    assert {"RUNPOD_WEBHOOK_GET_JOB", "WORKER_PLATFORM"} | (other.keys() - {"x"}) <= set(
        re.findall(r"[A-Z_]{5,}", message)
    )
    assert "key-of-the-worker" not in message
    assert choose("runpod", {**RUNPOD_QUEUE, **other}).platform.name == "runpod"


@pytest.mark.parametrize("missing", ["RUNPOD_AI_API_KEY", "RUNPOD_POD_ID", "RUNPOD_WEBHOOK_POST_OUTPUT"])
def test_a_queue_without_a_key_or_an_id_is_refused(missing: str) -> None:
    """The error names the missing variable, because no job could be taken or reported without it."""
    with pytest.raises(UnclearPlatform, match=rf"RUNPOD_WEBHOOK_GET_JOB is set, and {missing} not: "):
        choose(AUTO, {name: value for name, value in RUNPOD_QUEUE.items() if name != missing})


def test_serve_logs_what_it_found_or_refuses(tmp_path: Path) -> None:
    """The command ends with the variables of both platforms and the cure."""
    done = cli("serve", cwd=tmp_path, WORKER_PLATFORM="auto", **RUNPOD_QUEUE, **VAST)
    said = " ".join(done.stderr.split())
    assert (done.returncode, "several platforms" in said, "set WORKER_PLATFORM to" in said) == (1, True, True)
    assert "key-of-the-worker" not in said

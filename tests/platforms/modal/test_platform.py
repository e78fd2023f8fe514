"""Modal as a platform: detection, traits, settings, and secrets that ComfyUI does not get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.platforms.base import Authenticator
from worker.platforms.modal.platform import Modal, traits_for
from worker.platforms.modal.settings import ModalLogin, ModalSettings
from worker.platforms.registry import AUTO, choose
from worker.settings import engine_environment

PAGE = (Path(__file__).parents[3] / "docs" / "modal.md").read_text("utf-8")


def test_modal_is_detected_by_the_id_of_its_container() -> None:
    """`auto` chooses Modal in a container of Modal."""
    choice = choose(AUTO, {"MODAL_TASK_ID": "ta-1"})
    assert (choice.platform.name, choice.reason) == ("modal", "MODAL_TASK_ID is set")


def test_outputs_do_not_come_by_urls_of_one_container() -> None:
    """Any request may reach any container, and Modal kills a container after 30 s."""
    assert Modal.traits.output_urls is False
    assert Modal.traits.drain_within(3600) <= 30


def test_the_login_decides_who_checks_requests() -> None:
    """WORKER_MODAL_LOGIN=platform lets the worker listen without tokens, and an unknown value is named."""
    assert traits_for(ModalLogin.WORKER).authenticates is Authenticator.WORKER
    login = ModalSettings.from_env({"WORKER_MODAL_LOGIN": "platform"}).login
    assert traits_for(login).authenticates is Authenticator.PLATFORM
    with pytest.raises(StartupError, match="WORKER_MODAL_LOGIN"):
        ModalSettings.from_env({"WORKER_MODAL_LOGIN": "nobody"})


def test_doctor_names_what_is_missing() -> None:
    """`doctor --platform modal` on another machine says which variable is missing, and which platform to choose."""
    [finding] = Modal().check({})
    assert "MODAL_TASK_ID" in str(finding)
    [found] = Modal().check({"MODAL_TASK_ID": "ta-1", "MODAL_REGION": "us-east"})
    assert "ta-1 in us-east" in str(found)


def test_comfyui_gets_no_token_of_modal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Node packs cannot read the identity of the container."""
    monkeypatch.setenv("MODAL_IDENTITY_TOKEN", "abc")
    monkeypatch.setenv("WORKER_ENGINE_ENV", "MODAL_IDENTITY_TOKEN")
    assert "MODAL_IDENTITY_TOKEN" not in engine_environment()


def test_every_setting_is_described() -> None:
    """docs/modal.md has the settings of the code."""
    rows = [f"| `{env}` | {default + ' ' if default else ''}| {text} |" for env, default, text in ModalSettings.table()]
    assert [row for row in rows if row not in PAGE] == []


def test_every_trap_has_its_row() -> None:
    """The table has M1 to M35, in order."""
    numbers = [int(number) for number in re.findall(r"^\| M(\d+) \|", PAGE, re.MULTILINE)]
    assert numbers == list(range(1, 36))


def test_every_test_that_is_named_exists() -> None:
    """Every test that the page names exists."""
    tests = "".join(path.read_text("utf-8") for path in (Path(__file__).parents[2]).rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()

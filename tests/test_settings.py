"""Settings are read once, typed, and a bad one is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def test_environment_is_typed() -> None:
    """Text becomes the type of the field."""
    found = Settings.from_env({"WORKER_GATEWAY_PORT": "99", "WORKER_COMFYUI_OUTPUT": "/x", "WORKER_SILENCE": "0.5"})
    assert (found.server.port, found.engine.output_folder, found.engine.event_silence_s) == (99, Path("/x"), 0.5)


def test_the_command_line_wins_and_none_means_not_given() -> None:
    """What is given beats the environment; what is not given leaves it."""
    environ = {"WORKER_GATEWAY_PORT": "99", "WORKER_PLATFORM": "vast"}
    found = Settings.from_env(environ, port=7, platform=None)
    assert (found.server.port, found.platform) == (7, "vast")


@pytest.mark.parametrize(("name", "value"), [("WORKER_GATEWAY_PORT", "many"), ("WORKER_SILENCE", "soon")])
def test_a_bad_value_is_named(name: str, value: str) -> None:
    """The error has the variable and its value."""
    with pytest.raises(StartupError, match=f"{name}='{value}'"):
        Settings.from_env({name: value})


def test_every_setting_is_in_the_readme() -> None:
    """The table in the README has every setting with its default and its help, as the code says them."""
    text = README.read_text("utf-8")
    for env, default, help_text in Settings.table():
        assert f"| `{env}` | {f'`{default}`' if default else ''} | {help_text} |" in text


def test_settings_can_not_be_changed() -> None:
    """After the start nothing changes them."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().server.port = 1  # type: ignore[misc]

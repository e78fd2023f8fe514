"""Tests of the settings."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.errors import StartupError
from worker.settings import PreviewMethod, Settings
from worker.settings.engine_environment import is_credential


def test_environment_is_typed() -> None:
    """Values of environment variables get the type of their field."""
    found = Settings.from_env({"WORKER_GATEWAY_PORT": "99", "WORKER_COMFYUI_OUTPUT": "/x", "WORKER_SILENCE": "0.5"})
    assert (found.server.port, found.engine.output_folder, found.engine.event_silence_s) == (99, Path("/x"), 0.5)


def test_the_command_line_wins_and_none_means_not_given() -> None:
    """The command line overrides the environment, and None leaves it."""
    environ = {"WORKER_GATEWAY_PORT": "99", "WORKER_PLATFORM": "vast"}
    found = Settings.from_env(environ, port=7, platform=None)
    assert (found.server.port, found.platform) == (7, "vast")


@pytest.mark.parametrize(("name", "value"), [("WORKER_GATEWAY_PORT", "many"), ("WORKER_SILENCE", "soon")])
def test_a_bad_value_is_named(name: str, value: str) -> None:
    """An invalid value raises StartupError with the variable and its value."""
    with pytest.raises(StartupError, match=f"{name}='{value}'"):
        Settings.from_env({name: value})


@pytest.mark.parametrize("name", ["WORKER_USD_HOUR", "WORKER_MAX_WAIT", "WORKER_SLOW_AFTER"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "-inf"])
def test_a_number_out_of_range_is_named(name: str, value: str) -> None:
    """A negative or infinite number raises StartupError with the variable, its value and the range."""
    with pytest.raises(StartupError, match=f"{name}='{value}' .*at least 0"):
        Settings.from_env({name: value})


def test_one_of_several_values() -> None:
    """An unknown choice is rejected with the list of choices."""
    assert Settings.from_env({"WORKER_PREVIEWS": "taesd"}).engine.previews is PreviewMethod.TAESD
    with pytest.raises(StartupError, match="WORKER_PREVIEWS='big' is none of auto, latent2rgb, taesd, none"):
        Settings.from_env({"WORKER_PREVIEWS": "big"})


def test_settings_can_not_be_changed() -> None:
    """Settings are frozen."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().server.port = 1  # type: ignore[misc]


def test_flat_names_find_their_groups() -> None:
    """`Settings.of` sets a field by its flat name, and keeps the others."""
    settings = Settings.of(port=7, fetch_max=3, models="sdxl", state=Path("/state"))
    assert (settings.server.port, settings.fetch.max_size, settings.models.templates) == (7, 3, "sdxl")
    changed = settings.replaced(engine_tries=1, state=Path("elsewhere"))
    assert (changed.engine.tries, changed.server.port, settings.engine.tries) == (1, 7, 5)
    assert changed.state.is_absolute()


def test_a_name_that_is_none_is_refused() -> None:
    """`Settings.of` rejects an unknown name."""
    with pytest.raises(TypeError, match="fetch_maximum"):
        Settings.of(fetch_maximum=3)


def test_flat_names_and_variables_are_unique() -> None:
    """No two settings have the same flat name or variable."""
    variables = [env for env, _, _ in Settings.table()]
    assert len(variables) == len(set(variables)) == len(Settings.fields_by_name())


def test_every_secret_is_kept_from_comfyui() -> None:
    """ComfyUI's environment contains no secret setting of any group."""
    secret = {
        "WORKER_TOKENS",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "WORKER_WEBHOOK_SECRET",
        "WORKER_FETCH_AUTH",
    }
    given = dict.fromkeys((*secret, "S3_SECRET_ACCESS_KEY", "PYTHONSAFEPATH", "MASTER_TOKEN", "WORKER_PLATFORM"), "x")
    code = "from worker.settings import engine_environment; print(*engine_environment(), sep=chr(10))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, check=True
    )
    assert given.keys() & set(done.stdout.split()) == {"WORKER_PLATFORM"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "x"),
        ("HUGGING_FACE_HUB_TOKEN", "x"),
        ("JUPYTER_TOKEN", "x"),
        ("OPENAI_API_KEY", "x"),
        ("AWS_BEARER_TOKEN_BEDROCK", "x"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json"),
        ("STABILITY_KEY", "x"),
        ("azure_client_secret", "x"),
        ("DB_PWD", "x"),
        ("PGPASSWORD", "x"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("DATABASE_URL", "postgres://user:secret@db/x"),
        ("HTTPS_PROXY", "http://user:secret@proxy:3128"),
        ("ANYTHING", "hf_abcdefghijklmnopqrstuvwx"),
        ("ANYTHING", "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_a_credential_is_kept_from_comfyui_unless_it_is_passed_on(name: str, value: str) -> None:
    """ComfyUI's environment contains no credential unless WORKER_ENGINE_ENV names it."""
    assert is_credential(name, value)
    assert name not in engine_sees({name: value})
    assert name in engine_sees({name: value, "WORKER_ENGINE_ENV": f"OTHER, {name}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("PWD", "/x"),
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("CUDA_VISIBLE_DEVICES", "GPU-0123456789abcdef0123"),
        ("NVIDIA_REQUIRE_CUDA", "cuda>=13.0 brand=unknown,driver>=535,driver<536"),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("HF_HUB_OFFLINE", "1"),
        ("KEYBOARD", "us"),
    ],
)
def test_what_is_no_credential_reaches_comfyui(name: str, value: str) -> None:
    """ComfyUI's environment contains other variables."""
    assert not is_credential(name, value)


def engine_sees(given: dict[str, str]) -> list[str]:
    code = "from worker.settings import engine_environment; print(*engine_environment(), sep=chr(10))"
    env = {"PATH": os.environ["PATH"], **given}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.split()

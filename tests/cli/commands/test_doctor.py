"""`comfy-worker doctor`, the real command."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.cli.terminal import cli, command
from tests.engines import EngineHandle
from worker.check_finding import Level
from worker.cli.checks.comfyui import packs, version
from worker.cli.checks.host import bucket_keys
from worker.settings import Settings
from worker.settings.s3 import S3Settings


def findings(*arguments: object, cwd: Path, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = cli("doctor", *arguments, "--json", cwd=cwd, WORKER_GATEWAY_PORT="0", **env)
    return done.returncode, {row["name"]: row for row in json.loads(done.stdout)}


def test_doctor_passes_for_the_embedded_engine(tmp_path: Path) -> None:
    """No check fails for the embedded engine, and no file is left behind."""
    done = command("doctor", cwd=tmp_path, WORKER_GATEWAY_PORT="0")
    assert done.returncode == 0, done.stdout
    for name in ("python", "packages", "state", "disk", "port", "gpu", "comfyui", "outputs", "vast sdk"):
        assert name in done.stdout
    assert "fail" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_doctor_describes_a_running_comfyui(engine: EngineHandle, tmp_path: Path) -> None:
    """The rows of a running ComfyUI have its version, device and node packs."""
    code, found = findings("--comfyui", engine.url, cwd=tmp_path)
    assert code == 0
    assert "ComfyUI 0.33.0, embedded engine" in found["comfyui"]["says"]
    assert found["RES4LYF"]["level"] == found["ControlAltAI-Nodes"]["level"] == "ok"
    assert found["outputs"]["level"] == "warn"


def test_doctor_tries_a_hard_link(engine: EngineHandle, tmp_path: Path) -> None:
    """The check makes a hard link from ComfyUI's output folder to the state folder, and removes it."""
    before = sorted(engine.output.iterdir())
    _, found = findings("--comfyui", engine.url, cwd=tmp_path, WORKER_COMFYUI_OUTPUT=str(engine.output))
    assert (found["outputs"]["level"], found["outputs"]["says"]) == ("ok", f"hard links from {engine.output}")
    assert sorted(engine.output.iterdir()) == before


def test_failures_have_a_cure(tmp_path: Path) -> None:
    """Without ComfyUI, Vast's variables and a free port, three rows fail with a cure, and the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = cli(
            *("doctor", "--comfyui", "http://127.0.0.1:9", "--platform", "vast", "--json"),
            cwd=tmp_path,
            WORKER_GATEWAY_PORT=port,
        )
    failed = {row["name"]: row for row in json.loads(done.stdout) if row["level"] == "fail"}
    assert done.returncode == 1
    assert set(failed) == {"comfyui", "port", "vast"}
    assert all(row["cure"] for row in failed.values())
    assert "CONTAINER_ID" in failed["vast"]["says"]


@pytest.mark.parametrize(
    ("env", "name", "says"),
    [
        ({"WORKER_COMFYUI": "nowhere"}, "comfyui", "has no main.py"),
        ({"WORKER_STATE": "/proc/nowhere"}, "state", "cannot be written"),
        ({"WORKER_MAX_QUEUE": "many"}, "settings", "WORKER_MAX_QUEUE"),
    ],
)
def test_a_wrong_setting_fails(tmp_path: Path, env: dict[str, str], name: str, says: str) -> None:
    """A wrong setting fails in the row that it belongs to."""
    code, found = findings(cwd=tmp_path, **env)
    assert code == 1
    assert found[name]["level"] == "fail"
    assert says in found[name]["says"]


def test_a_key_pattern_without_the_job_is_a_warning(tmp_path: Path) -> None:
    """A pattern of object keys that two jobs can share is a warning. The default is not."""
    bucket = {"bucket": "pictures"}
    assert bucket_keys(Settings(state=tmp_path, s3=S3Settings(**bucket))) == []
    assert bucket_keys(Settings(state=tmp_path, s3=S3Settings(key="{id}/{filename}"))) == []
    [found] = bucket_keys(Settings(state=tmp_path, s3=S3Settings(key="{id}/{filename}", **bucket)))
    assert (found.level, "{job}" in found.cure) == (Level.WARN, True)


def test_missing_packs_and_old_versions_are_warnings() -> None:
    """A missing node pack and an old ComfyUI are warnings, because a worker runs with both."""
    assert [found.level for found in packs({"ClownsharKSampler_Beta"})] == [Level.OK, Level.WARN]
    assert version("0.9.1", "").level is Level.WARN
    assert version("0.33.0", "").level is version("0.34", "").level is Level.OK


def test_settings_option_prints_every_variable(tmp_path: Path) -> None:
    """`--settings` lists each variable with its default and its meaning, and Vast's variables."""
    done = cli("doctor", "--settings", "--json", cwd=tmp_path)
    rows = {row["variable"]: row for row in json.loads(done.stdout)}
    for variable, default, meaning in Settings.table():
        assert (rows[variable]["default"], rows[variable]["meaning"]) == (default, meaning)
    assert "WORKER_BENCHMARK" in rows
    plain = cli("doctor", "--settings", cwd=tmp_path).stdout
    assert all(variable in plain for variable in rows)


def test_a_comfyui_on_the_cpu_needs_no_gpu(tmp_path: Path) -> None:
    """A missing GPU is a warning, unless ComfyUI has the option `--cpu`."""
    folder = tmp_path / "ComfyUI"
    folder.mkdir()
    (folder / "main.py").touch()
    env = {"WORKER_COMFYUI": str(folder), "PATH": str(tmp_path)}
    for arguments, level in (("--cpu", "ok"), ("--lowvram --cpu", "ok"), ("", "warn"), ("--cpu-vae", "warn")):
        _, found = findings(cwd=tmp_path, **env, WORKER_COMFYUI_ARGS=arguments)
        assert (arguments, found["gpu"]["level"]) == (arguments, level)


def test_packs_that_failed_to_import_are_listed(engine: EngineHandle, tmp_path: Path) -> None:
    """Packs that failed to import at the last start of ComfyUI are warnings, also where their folders exist."""
    folder = tmp_path / "ComfyUI"
    (folder / "custom_nodes" / "RES4LYF").mkdir(parents=True)
    (folder / "main.py").touch()
    (tmp_path / ".state").mkdir()
    failed = "Error while calling comfy_entrypoint in /c/Odd: no licence\n   0.1 seconds (IMPORT FAILED): /c/Odd\n"
    failed += "   0.1 seconds (IMPORT FAILED): /c/RES4LYF\n"
    (tmp_path / ".state" / "engine.log").write_text(failed)
    _, found = findings(cwd=tmp_path, WORKER_COMFYUI=str(folder))
    assert (found["Odd"]["level"], found["RES4LYF"]["level"]) == ("warn", "warn")
    assert found["Odd"]["says"] == "at the last start of ComfyUI, the node pack Odd failed to import: no licence"
    _, found = findings(cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert "see its log for packs" in found["node packs"]["says"]


VAST = {"CONTAINER_ID": "1", "PUBLIC_IPADDR": "203.0.113.7", "VAST_TCP_PORT_3000": "41000"}


@pytest.mark.parametrize(
    ("env", "level", "says"),
    [
        ({}, "fail", "no job measures the speed of the workers"),
        ({"WORKER_MODELS": "sdxl,flux-schnell"}, "ok", "template sdxl"),
        (
            {"WORKER_MODELS": "sdxl", "WORKER_BENCHMARK": "wan22-t2v"},
            "ok",
            "template wan22-t2v with steps 4, seconds 3.5",
        ),
        ({"WORKER_BENCHMARK": "packaged"}, "ok", "the packaged workflow, which needs no model"),
        ({"WORKER_BENCHMARK": "/nowhere.json"}, "fail", "the file /nowhere.json cannot be read"),
    ],
)
def test_a_worker_on_vast_needs_a_benchmark(tmp_path: Path, env: dict[str, str], level: str, says: str) -> None:
    """On Vast, a worker that measures no job fails the check. Its row names the job, or how to choose one."""
    _, found = findings("--platform", "vast", cwd=tmp_path, **VAST, **env)
    assert (found["benchmark"]["level"], says in found["benchmark"]["says"]) == (level, True)
    assert bool(found["benchmark"]["cure"]) is (level == "fail")

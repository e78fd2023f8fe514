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


def test_a_machine_that_is_fine(tmp_path: Path) -> None:
    """Nothing fails for the embedded engine, every row has a level, and looking leaves nothing behind."""
    done = command("doctor", cwd=tmp_path, WORKER_GATEWAY_PORT="0")
    assert done.returncode == 0, done.stdout
    for name in ("python", "packages", "state", "disk", "port", "gpu", "comfyui", "outputs", "vast sdk"):
        assert name in done.stdout
    assert "fail" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_running_engine_is_described(engine: EngineHandle, tmp_path: Path) -> None:
    """Version, device, node classes, and whether each node pack is there."""
    code, found = findings("--comfyui", engine.url, cwd=tmp_path)
    assert code == 0
    assert "ComfyUI 0.33.0, embedded engine" in found["comfyui"]["says"]
    assert found["RES4LYF"]["level"] == found["ControlAltAI-Nodes"]["level"] == "ok"
    assert found["outputs"]["level"] == "warn"


def test_a_shared_output_folder_is_tried(engine: EngineHandle, tmp_path: Path) -> None:
    """A hard link is made from ComfyUI's output folder to the state folder, and taken away again."""
    before = sorted(engine.output.iterdir())
    _, found = findings("--comfyui", engine.url, cwd=tmp_path, WORKER_COMFYUI_OUTPUT=str(engine.output))
    assert (found["outputs"]["level"], found["outputs"]["says"]) == ("ok", f"hard links from {engine.output}")
    assert sorted(engine.output.iterdir()) == before


def test_what_would_fail_is_told_with_its_cure(tmp_path: Path) -> None:
    """No ComfyUI, no environment of Vast's, a port that is taken: exit code 1."""
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
    """Each is named by the row that it belongs to."""
    code, found = findings(cwd=tmp_path, **env)
    assert code == 1
    assert found[name]["level"] == "fail"
    assert says in found[name]["says"]


def test_keys_that_do_not_tell_jobs_apart_are_a_warning(tmp_path: Path) -> None:
    """A pattern of keys with the id alone may give two callers one object; the default does not."""
    bucket = {"bucket": "pictures"}
    assert bucket_keys(Settings(state=tmp_path, s3=S3Settings(**bucket))) == []
    assert bucket_keys(Settings(state=tmp_path, s3=S3Settings(key="{id}/{filename}"))) == []
    [found] = bucket_keys(Settings(state=tmp_path, s3=S3Settings(key="{id}/{filename}", **bucket)))
    assert (found.level, "{job}" in found.cure) == (Level.WARN, True)


def test_what_is_missing_in_a_comfyui_is_a_warning() -> None:
    """A worker runs without the packs, and on an older version; its samplers would be refused."""
    assert [found.level for found in packs({"ClownsharKSampler_Beta"})] == [Level.OK, Level.WARN]
    assert version("0.9.1", "").level is Level.WARN
    assert version("0.33.0", "").level is version("0.34", "").level is Level.OK


def test_every_setting_is_printed(tmp_path: Path) -> None:
    """`--settings` lists each variable with its default and its meaning, those of Vast too."""
    done = cli("doctor", "--settings", "--json", cwd=tmp_path)
    rows = {row["variable"]: row for row in json.loads(done.stdout)}
    for variable, default, meaning in Settings.table():
        assert (rows[variable]["default"], rows[variable]["meaning"]) == (default, meaning)
    assert "WORKER_BENCHMARK" in rows
    plain = cli("doctor", "--settings", cwd=tmp_path).stdout
    assert all(variable in plain for variable in rows)


def test_a_comfyui_on_the_cpu_needs_no_gpu(tmp_path: Path) -> None:
    """With `--cpu` a missing GPU is no warning; with another option that begins like it, it is one."""
    folder = tmp_path / "ComfyUI"
    folder.mkdir()
    (folder / "main.py").touch()
    env = {"WORKER_COMFYUI": str(folder), "PATH": str(tmp_path)}
    for arguments, level in (("--cpu", "ok"), ("--lowvram --cpu", "ok"), ("", "warn"), ("--cpu-vae", "warn")):
        _, found = findings(cwd=tmp_path, **env, WORKER_COMFYUI_ARGS=arguments)
        assert (arguments, found["gpu"]["level"]) == (arguments, level)


def test_packs_that_failed_to_import_are_listed(engine: EngineHandle, tmp_path: Path) -> None:
    """By the log of ComfyUI's last start, also those that are there as a folder; of a mere URL nothing is known."""
    folder = tmp_path / "ComfyUI"
    (folder / "custom_nodes" / "RES4LYF").mkdir(parents=True)
    (folder / "main.py").touch()
    (tmp_path / ".state").mkdir()
    failed = "Error while calling comfy_entrypoint in /c/Odd: no licence\n   0.1 seconds (IMPORT FAILED): /c/Odd\n"
    failed += "   0.1 seconds (IMPORT FAILED): /c/RES4LYF\n"
    (tmp_path / ".state" / "engine.log").write_text(failed)
    _, found = findings(cwd=tmp_path, WORKER_COMFYUI=str(folder))
    assert (found["Odd"]["level"], found["RES4LYF"]["level"]) == ("warn", "warn")
    assert found["Odd"]["says"] == "at the last start of ComfyUI the node pack Odd failed to import: no licence"
    _, found = findings(cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert "see the log of this ComfyUI" in found["node packs"]["says"]

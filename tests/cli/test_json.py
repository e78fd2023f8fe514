"""`--json` of every command that returns data: one JSON value on standard output, and nothing else."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import ROOT, WORKFLOWS, cli, command
from tests.engines import EngineHandle
from tests.fleet.wishes import FLEET, FLEET_ID, IMAGE, VALUES
from tests.workflows import drawn
from worker.app import build
from worker.cli.command_table import COMMANDS
from worker.settings import Settings
from worker.simulators.vast_account import run_in_thread

SMOKE = WORKFLOWS / "smoke-resize.json"
WITHOUT_DATA = {
    "serve": "runs until it is stopped",
    "engine": "runs until it is stopped",
    "proxy": "runs until it is stopped",
    "proxy schema": "always prints JSON",
    "mcp": "runs until it is stopped",
    "deploy": "prints its help",
    "journal": "prints its help",
    "handlers": "prints its help",
    "modal": "prints its help",
    "fleet": "prints its help",
    "deploy snapshot": "always prints JSON",
    "completion": "prints a script",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_returns_data_has_the_option(name: str) -> None:
    """A command has `--json`, or a reason to have none."""
    parameters = inspect.signature(import_module(COMMANDS[name].module).command).parameters
    assert ("as_json" in parameters) == (name not in WITHOUT_DATA)


def result(*arguments: object, cwd: Path, code: int = 0, **env: str) -> Any:
    """Return what a command prints with `--json`."""
    done = cli(*arguments, "--json", cwd=cwd, **env)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["templates"], ["sdxl", "smoke-resize"]),
        (["templates", "show", "sdxl"], ["properties", "type"]),
        (["templates", "new", SMOKE], ["name", "template", "file"]),
        (["nodes"], ["ComfyUI", "RES4LYF"]),
        (["validate", SMOKE], ["valid", "problems", "models", "workload"]),
        (["convert", SMOKE], ["prompt", "warnings", "repairs"]),
        (["run", SMOKE], ["status", "id", "outputs", "metadata", "nodes"]),
        (["run", "smoke-resize"], ["status", "outputs", "params"]),
        (["models", "plan", "smoke-resize"], ["folder", "files", "runnable"]),
        (["models", "fetch", "smoke-resize"], ["folder", "files", "runnable"]),
    ],
    ids=str,
)
def test_a_command_prints_one_object(
    arguments: list[object], keys: list[str], engine: EngineHandle, tmp_path: Path
) -> None:
    """Standard output is one JSON object with these keys."""
    (tmp_path / "comfyui_nodes.txt").write_text((ROOT / "comfyui_nodes.txt").read_text("utf-8"))
    env = {"WORKER_COMFYUI": engine.url} if arguments[0] == "run" else {}
    assert set(keys) <= result(*arguments, cwd=tmp_path, **env).keys()


def test_doctor_prints_arrays(tmp_path: Path) -> None:
    """`doctor` prints a row for each finding, and `doctor --settings` one for each variable."""
    findings = result("doctor", cwd=tmp_path, WORKER_GATEWAY_PORT="0")
    assert all(row.keys() == {"name", "level", "says", "cure"} for row in findings)
    rows = result("doctor", "--settings", cwd=tmp_path)
    assert all(row.keys() == {"variable", "default", "meaning"} for row in rows)


def test_convert_lists_repairs_and_warnings(tmp_path: Path) -> None:
    """The prompt, the warnings and the repairs are in one object, and standard error is empty."""
    workflow = drawn(96, 48)
    (tmp_path / "drawn.json").write_text(json.dumps(workflow))
    done = cli("convert", "drawn.json", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["prompt"]["1"]["inputs"]["width"] == 96


async def test_health_prints_the_url(engine: EngineHandle, tmp_path: Path) -> None:
    """`health --json` has the URL and whether the worker is alive."""
    async with build(Settings.of(comfyui=engine.url, state=tmp_path / "state", port=0)) as app:
        env = {"WORKER_GATEWAY_PORT": app.url.rpartition(":")[2]}
        body = await asyncio.to_thread(result, "health", cwd=tmp_path, **env)
    assert body == {"alive": True, "url": f"{app.url}/health"}


def test_onstart_prints_the_process(tmp_path: Path) -> None:
    """`onstart --json` has the process id of the worker that it started, and null for one that runs already."""
    from tests.cli.commands.test_onstart import ME, holder, until

    env = {"WORKER_STATE": str(tmp_path / "state"), "WORKER_PLATFORM": "none", "WORKER_GATEWAY_PORT": "0"}
    bodies = [json.loads(command("onstart", "--user", ME, "--json", cwd=tmp_path, **env).stdout) for _ in range(2)]
    pid = holder(tmp_path / "state")
    os.kill(pid, 15)
    until(lambda: not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text(), 60)
    log = str(tmp_path / "state" / "worker.log")
    assert bodies == [{"started": True, "pid": pid, "log": log}, {"started": False, "pid": None, "log": log}]


@pytest.mark.timeout(240)
def test_demo_prints_requests_and_reports(tmp_path: Path) -> None:
    """`demo --json` has the requests with their outputs, and the workers' reports. Steps go to standard error."""
    done = cli("demo", "--workers", 1, "--json", cwd=tmp_path, timeout=80)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert [row["shape"] for row in body["requests"]].count("native") == 2
    assert all((tmp_path / output["path"]).is_file() for row in body["requests"] for output in row["outputs"])
    assert [row["worker_id"] for row in body["reports"]] == [1]
    assert "all workers have stopped" in done.stderr


def test_deploy_init_prints_the_id(tmp_path: Path) -> None:
    """`deploy init --json` has the new id, and the previous one of a file that has one."""
    (tmp_path / "vast.toml").write_text(FLEET.replace(f'id = "{FLEET_ID}"', ""), "utf-8")
    first = result("deploy", "init", cwd=tmp_path)
    assert first["previous"] is None
    assert result("deploy", "init", cwd=tmp_path) == {**first, "previous": first["id"]}
    replaced = result("deploy", "init", "--new", cwd=tmp_path)
    assert (replaced["previous"], replaced["id"] == first["id"]) == (first["id"], False)


def test_deploy_prints_objects(tmp_path: Path) -> None:
    """Every command of a fleet's life prints one object, from the plan to the removal."""
    (tmp_path / "vast.toml").write_text(FLEET, "utf-8")
    with run_in_thread() as local:
        env = {**VALUES, "VAST_API_KEY": local.api_key}
        server = ("--server-url", local.url)
        plan = result("deploy", "plan", "--image", IMAGE, *server, cwd=tmp_path, code=2, **env)
        assert plan["warnings"] is not None
        assert result("deploy", "apply", "--image", IMAGE, *server, cwd=tmp_path, **env)["ok"]
        assert result("deploy", "status", *server, cwd=tmp_path, **env)["groups"]
        assert "endpoint comfy" in result("deploy", "logs", *server, cwd=tmp_path, **env)
        assert json.loads(cli("deploy", "snapshot", *server, cwd=tmp_path, **env).stdout)
        assert result("deploy", "adopt", "comfy", *server, cwd=tmp_path, **env)["changes"] == []
        assert (
            result("deploy", "rollback", *server, cwd=tmp_path, code=1, **env)["error"]["code"] == "no_former_version"
        )
        assert len(result("deploy", "destroy", "--yes", *server, cwd=tmp_path, **env)["groups"]) == 2

"""Errors of commands: each ends with the next step, for people and with `--json`."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.cli.terminal import WORKFLOWS, cli
from tests.cli.test_examples import parse
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.fleet.wishes import FLEET, IMAGE
from worker.cli.output.failure import Failure
from worker.cli.output.next_steps import BY_DETAIL, NEXT_STEPS, OTHERWISE, RETRY, next_step
from worker.errors import Detail, WorkerError

NOWHERE = "http://127.0.0.1:9"
SMOKE = WORKFLOWS / "smoke-resize.json"
UNKNOWN_CLASS = {"1": {"class_type": "FaceDetailr", "inputs": {}}}
UNKNOWN_MODEL = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}

FAILURES = [
    # arguments, exit code, code, next step
    (["serve", "--colour"], 2, "usage", "Run `comfy-worker serve --help`"),
    (["depoly"], 2, "usage", "Run `comfy-worker --help`"),
    (["deploy", "paln"], 2, "usage", "Run `comfy-worker deploy --help`"),
    (["demo", "--gpus", "99"], 2, "usage", "Run `comfy-worker demo --help`"),
    (["validate"], 2, "usage", "Run `comfy-worker validate --help`"),
    (["run", "gone.json"], 2, "usage", "Run `comfy-worker run --help`"),
    (["run", "bad.json"], 2, "usage", "Run `comfy-worker run --help`"),
    (["validate", "bad.json"], 2, "usage", "Run `comfy-worker validate --help`"),
    (["run", "flux-schnel"], 2, "usage", "Run `comfy-worker templates`"),
    (["templates", "show", "flux-schnel"], 2, "usage", "Run `comfy-worker templates`"),
    (["models", "plan", "flux-schnel"], 2, "usage", "Run `comfy-worker templates`"),
    (["run", "sd15", "--width", "101"], 2, "usage", "Run `comfy-worker run sd15 --help`"),
    (["convert", "class.ui.json"], 1, "cannot_convert", "--catalog object_info.json"),
    (["run", SMOKE, "--url", NOWHERE], 1, "unreachable", "`comfy-worker serve`"),
    (["validate", SMOKE, "--url", NOWHERE], 2, "unreachable", "`comfy-worker serve`"),
    (["health"], 1, "unreachable", "`comfy-worker serve`"),
    (["run", SMOKE, "--vast-endpoint", "comfy"], 1, "key_missing", "VAST_API_KEY"),
    (["deploy", "status"], 1, "key_missing", "VAST_API_KEY"),
    (["deploy", "plan", "--file", "gone.toml"], 1, "file_unreadable", "`comfy-worker deploy plan --help`"),
    (["deploy", "plan", "--file", "bad.toml"], 1, "fleet_invalid", "`comfy-worker deploy plan`"),
    (
        ["deploy", "plan", "--image", IMAGE, "--snapshot", "bad.json"],
        1,
        "snapshot_invalid",
        "`comfy-worker deploy snapshot --out FILE`",
    ),
    (["nodes", "--file", "gone.txt"], 1, "file_unreadable", "`comfy-worker nodes --help`"),
    (["nodes", "--file", "bad.json"], 1, "pins_invalid", "`comfy-worker nodes`"),
    (["serve", "--comfyui", "."], 1, "not_started", "`comfy-worker doctor`"),
    (["serve", "--platform", "vest"], 2, "usage", "Run `comfy-worker serve --help`"),
    (["verify-image", "--comfyui", NOWHERE], 1, "not_started", "`comfy-worker doctor`"),
    (["journal", "downgrade", "--state", "."], 1, "not_started", "`comfy-worker doctor`"),
    (["load", "--state", "empty"], 1, "nothing_learned", "--state"),
    (["load", "export", "out.json", "--state", "empty"], 1, "nothing_learned", "--state"),
    (["load", "import", "bad.json"], 1, "load_invalid", "`comfy-worker load export FILE`"),
    (["load", "import", "gone.json"], 1, "file_unreadable", "`comfy-worker load import --help`"),
    (["prices", "--live"], 1, "key_missing", "VAST_API_KEY"),
    (["prices", "--file", "gone.toml"], 1, "file_unreadable", "`comfy-worker prices --help`"),
    (["prices", "--file", "bad.toml"], 1, "prices_invalid", "`comfy-worker prices --file FILE`"),
    (["proxy", "check", "gone.toml"], 1, "proxy_config_invalid", "`comfy-worker proxy check FILE`"),
    (["demo", "--comfyui", NOWHERE], 1, "engine_unavailable", "`comfy-worker doctor`"),
    (["demo", "--workflows", "empty"], 1, "no_workflows", "--workflows"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files that are wrong in various ways."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.toml").write_text('[endpoint]\nname = "comfy"\n')
    (tmp_path / "vast.toml").write_text(FLEET, "utf-8")
    (tmp_path / "class.ui.json").write_text('{"nodes": [{"id": 7, "type": "FaceDetailr"}], "links": []}')
    (tmp_path / "class.json").write_text(json.dumps(UNKNOWN_CLASS))
    (tmp_path / "model.json").write_text(json.dumps(UNKNOWN_MODEL))
    return tmp_path


@pytest.mark.parametrize(("arguments", "exit_code", "code", "step"), FAILURES, ids=str)
def test_an_error_ends_with_the_next_step(
    folder: Path, arguments: list[str], exit_code: int, code: str, step: str
) -> None:
    """The last line for people is the next step. With `--json` the same step is in the error, alone on stdout."""
    env = {"WORKER_GATEWAY_PORT": "9"}
    done = cli(*arguments, cwd=folder, **env)
    last = [line.strip() for line in done.stderr.splitlines() if line.strip()][-1]
    assert done.returncode == exit_code, done.stderr
    assert last.startswith("→ "), done.stderr
    assert step in last
    done = cli(*arguments, "--json", cwd=folder, **env)
    error = json.loads(done.stdout)["error"]
    if arguments[0] not in {"serve", "verify-image"}:
        assert (done.returncode, error["code"], last) == (exit_code, code, f"→ {error['next']}")
    assert error["next"]


async def test_a_wrong_token_is_answered_with_the_option(engine: EngineHandle, folder: Path) -> None:
    """A worker's 401 names `--token`, of `run` and of `validate`."""
    async with worker(engine, folder / "state", tokens=SecretStr("me=0123456789abcdef")) as client:
        for name in ("run", "validate"):
            arguments = (name, SMOKE, "--url", client.app.url, "--token", "wrong", "--json")
            done = await asyncio.to_thread(cli, *arguments, cwd=folder)
            error = json.loads(done.stdout)["error"]
            assert (error["code"], "--token" in error["next"]) == ("unauthorized", True)


@pytest.mark.parametrize(
    ("name", "step"),
    [("class.json", "`comfy-worker nodes add OWNER/NAME`"), ("model.json", "`comfy-worker models fetch")],
)
def test_a_rejected_workflow_names_the_command_that_helps(
    engine: EngineHandle, folder: Path, name: str, step: str
) -> None:
    """A missing node class leads to `nodes add`, a missing model to `models fetch`, in `run` and in `validate`."""
    done = cli("validate", name, cwd=folder)
    assert step in done.stdout.splitlines()[-1]
    if name == "class.json":
        done = cli("run", name, cwd=folder, WORKER_COMFYUI=engine.url)
        assert step in done.stderr.splitlines()[-1]


def test_every_step_names_commands_that_exist() -> None:
    """Each `comfy-worker ...` of a step parses, with its options."""
    steps = [*NEXT_STEPS.values(), *(step for _, step in BY_DETAIL), OTHERWISE, RETRY]
    for step in steps:
        for line in re.findall(r"`(comfy-worker [^`]+)`", step):
            parse(line.replace("FILE", "workflow.json"))
        assert re.search(r"`comfy-worker |`\{command\}|--\w|VAST_API_KEY|Export", step), step
        assert step.endswith(".")


def subclasses(kind: type[WorkerError]) -> list[type[WorkerError]]:
    """Return a class of errors and everything below it."""
    return [kind, *(sub for child in kind.__subclasses__() for sub in subclasses(child))]


@pytest.mark.parametrize("kind", subclasses(WorkerError), ids=lambda kind: kind.code)
def test_every_error_of_a_worker_has_a_step(kind: type[WorkerError]) -> None:
    """A code without a step of its own gets the general one, or a retry if the error allows it."""
    step = next_step(Failure(kind.code, "", retryable=kind.retryable), "comfy-worker run")
    assert step
    assert "{" not in step


def test_details_take_precedence() -> None:
    """A workflow with a missing class gets the step for the class, whatever its code."""
    detail = Detail("This ComfyUI has no node class 'A'.", comfyui_type="missing_node_type")
    assert "nodes add" in next_step(Failure("invalid_workflow", "", [detail]), "comfy-worker run")


@pytest.mark.parametrize("name", ["destroy", "adopt"])
def test_a_command_that_asks_reports_a_refusal(name: str) -> None:
    """An answer other than yes ends the command without a traceback and without a change."""
    import typer

    from worker.cli.errors import report_error

    assert report_error(typer.Abort(), ["deploy", name]) == 1

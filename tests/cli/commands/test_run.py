"""`comfy-worker run`, the real command against real engines."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.terminal import WORKFLOWS, cli, command, environment
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import failing, picture, slow
from worker.platforms.vast.platform import Vast


def written(folder: Path, workflow: object) -> Path:
    path = folder / "workflow.json"
    path.write_text(json.dumps(workflow))
    return path


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as found:
        return found.size


def sizes(folder: Path) -> list[tuple[int, int]]:
    return sorted(size(path) for path in folder.iterdir())


def test_run_starts_a_worker_for_one_job(tmp_path: Path) -> None:
    """Without options `run` starts an embedded engine, saves the image, and leaves no state."""
    done = command("run", WORKFLOWS / "smoke-resize.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "out") == [(768, 512)]
    assert "out/smoke-resize_00001_.png" in done.stdout
    assert "768x512" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_run_prints_progress_and_times(engine: EngineHandle, tmp_path: Path) -> None:
    """`run` prints the sampler's steps on standard error, and the time of each stage and node at the end."""
    done = cli("run", WORKFLOWS / "sd15-res4lyf.json", "--out", "pictures", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "pictures") == [(512, 512)]
    assert "Sampler 20/20" in done.stderr
    for row in ("queue", "prepare", "wait", "generate", "deliver", "total", "Sampler (3, 20 steps)", "Decode (8)"):
        assert row in done.stdout


def test_set_accepts_ids_and_titles(engine: EngineHandle, tmp_path: Path) -> None:
    """`--set` changes inputs by node id and by title, and `--json` has the outputs."""
    assignments = ("--set", "2.width=320", "--set", "Scale.height=160")
    done = cli("run", WORKFLOWS / "smoke-resize.json", *assignments, "--json", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    result = json.loads(done.stdout)
    (output,) = result["outputs"]
    assert (result["status"], output["kind"], output["width"], output["height"]) == ("success", "image", 320, 160)
    assert size(tmp_path / output["path"]) == (320, 160)
    assert output["bytes"] == (tmp_path / output["path"]).stat().st_size
    assert [node["title"] for node in result["nodes"]] == ["Canvas", "Scale", "Invert", "Save"]


def test_outputs_are_not_overwritten(engine: EngineHandle, tmp_path: Path) -> None:
    """Two runs with the same output save two files."""
    path = written(tmp_path, picture(color=7))
    for _ in range(2):
        assert cli("run", path, cwd=tmp_path, WORKER_COMFYUI=engine.url).returncode == 0
    assert sizes(tmp_path / "out") == [(64, 64), (64, 64)]


def test_input_sends_a_file(engine: EngineHandle, tmp_path: Path) -> None:
    """`--input` sends a file under the name that the workflow has."""
    Image.new("RGB", (48, 32), "teal").save(tmp_path / "mine.png")
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "photo.png"}}
    path = written(tmp_path, workflow)
    done = cli("run", path, "--input", "photo.png=mine.png", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "out") == [(48, 32)]


def test_input_sends_a_folder(engine: EngineHandle, tmp_path: Path) -> None:
    """`--input NAME=FOLDER` sends the files of a folder, without hidden ones."""
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    Image.new("RGB", (48, 32), "teal").save(tmp_path / "mine" / "a.png")
    Image.new("RGB", (50, 32), "teal").save(tmp_path / "mine" / "deep" / "a.png")
    (tmp_path / "mine" / ".DS_Store").write_bytes(b"")
    (tmp_path / "mine" / ".git").mkdir()
    (tmp_path / "mine" / ".git" / "config").write_bytes(b"")  # an empty file would be refused
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "frames/deep/a.png"}}
    workflow["3"] = {"class_type": "VHS_LoadImages", "inputs": {"directory": "frames"}}
    path = written(tmp_path, workflow)
    done = cli("run", path, "--input", "frames=mine", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "out") == [(50, 32)]


def test_a_rejected_workflow_is_explained(engine: EngineHandle, tmp_path: Path) -> None:
    """A rejected workflow prints each problem with its node, input and suggestion, and exits with 1."""
    workflow = picture(width=0)
    workflow["3"] = {
        "class_type": "ImageScale",
        "inputs": {"image": ["1", 0], "upscale_method": "lanczoz", "width": 8, "height": 8, "crop": "disabled"},
        "_meta": {"title": "Shrink"},
    }
    workflow["2"]["inputs"]["images"] = ["3", 0]
    done = cli("run", written(tmp_path, workflow), cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 1
    assert "node 3 Shrink (ImageScale), input upscale_method" in done.stderr
    assert "→ Did you mean 'lanczos'?" in done.stderr
    assert "node 1 EmptyImage, input width" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_node_that_raises_is_named(engine: EngineHandle, tmp_path: Path) -> None:
    """A node that raises is in the error, for people and with `--json`, and the exit code is 1."""
    path = written(tmp_path, failing())
    done = cli("run", path, cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 1
    assert "node 3 Trouble (EmbeddedFail)" in done.stderr
    done = cli("run", path, "--json", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["details"][0]["node_id"] == "3"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["missing.json"], "no such file"),
        (["broken.json"], "the workflow is not JSON"),
        ([WORKFLOWS / "smoke-resize.json", "--set", "Scale.widht=3"], "Did you mean 'width'?"),
        ([WORKFLOWS / "smoke-resize.json", "--set", "Scale"], "NODE.INPUT=VALUE"),
        ([WORKFLOWS / "smoke-resize.json", "--input", "photo.png"], "NAME=FILE"),
        ([WORKFLOWS / "smoke-resize.json", "--url", "http://x", "--vast-endpoint", "y"], "cannot be combined"),
    ],
)
def test_wrong_arguments_exit_with_2(tmp_path: Path, arguments: list[object], reason: str) -> None:
    """Wrong arguments exit with code 2 and the reason, before a worker is started."""
    (tmp_path / "broken.json").write_text("{")
    done = cli("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in " ".join(done.stderr.replace("│", " ").split())


def test_an_unreachable_worker_is_an_error(tmp_path: Path) -> None:
    """`run` exits with 1 and names the address of a worker that does not respond."""
    done = cli("run", WORKFLOWS / "smoke-resize.json", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == 1
    assert "no worker responds at http://127.0.0.1:9" in done.stderr


async def started(*arguments: object, cwd: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", *map(str, arguments)),
        cwd=cwd,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_cancels_the_job(client: Client, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM cancel the job, and the command ends when the engine has stopped it."""
    path = written(tmp_path, slow(30, steps=300))
    process = await started("run", path, "--url", client.app.url, cwd=tmp_path)
    assert process.stderr is not None
    async for line in process.stderr:
        if b"Pause" in line:
            break
    assert client.app.manager.admission.load.jobs == 1
    process.send_signal(number)
    _, said = await process.communicate()
    assert b"The job is cancelled" in said
    assert process.returncode == 130
    assert client.app.manager.admission.load.jobs == 0


async def test_outputs_come_inline_where_urls_cannot_be_opened(engine: EngineHandle, tmp_path: Path) -> None:
    """`run` requests inline outputs from a worker that rejects outputs by URL."""
    async with worker(engine, tmp_path / "state", Vast.traits) as client:
        path = written(tmp_path, picture())
        process = await started("run", path, "--url", client.app.url, cwd=tmp_path)
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert sizes(tmp_path / "out") == [(64, 64)]

"""`comfy-worker validate`, the real command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.cli.terminal import WORKFLOWS, cli
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflow.prompts import sampled
from worker.cli.client.workflow_file import read_request
from worker.load.workload import workload

WORKFLOW = WORKFLOWS / "sd15-res4lyf.json"


def test_a_valid_workflow_exits_with_0(tmp_path: Path) -> None:
    """A valid workflow exits with 0 and prints its workload."""
    done = cli("validate", WORKFLOW, "--assume-files", cwd=tmp_path)
    prompt = json.loads(WORKFLOW.read_text())
    assert done.returncode == 0
    assert "valid" in done.stdout
    assert f"workload {workload(prompt):.3g}" in done.stdout


def test_a_missing_model_has_its_download(tmp_path: Path) -> None:
    """A missing model is a problem with its URL. With the file in the models folder the workflow is valid."""
    done = cli("validate", WORKFLOW, cwd=tmp_path)
    assert done.returncode == 1
    assert "models/checkpoints has no file" in done.stdout
    assert "https://huggingface.co/" in done.stdout
    folder = tmp_path / "models" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "v1-5-pruned-emaonly-fp16.safetensors").touch()
    done = cli("validate", WORKFLOW, cwd=tmp_path, WORKER_MODELS_FOLDER=str(tmp_path / "models"))
    assert done.returncode == 0


def test_catalog_option_has_classes_and_files(tmp_path: Path) -> None:
    """With --catalog the classes and files are those of that ComfyUI, also input files."""
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "dog.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    catalog = {
        "LoadImage": {"input": {"required": {"image": [["cat.png"], {"image_upload": True}]}}, "output": ["IMAGE"]},
        "SaveImage": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True},
    }
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    (tmp_path / "c.json").write_text(json.dumps(catalog))
    done = cli("validate", "w.json", "--catalog", "c.json", "--json", cwd=tmp_path)
    body = json.loads(done.stdout)
    assert (done.returncode, body["valid"]) == (1, False)
    assert [(one["comfyui_type"], one["suggestion"]) for one in body["problems"]] == [
        ("custom_validation_failed", "Send the file with the request.")
    ]
    workflow["1"]["inputs"]["image"] = "cat.png"
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    assert cli("validate", "w.json", "--catalog", "c.json", cwd=tmp_path).returncode == 0


def test_every_problem_is_listed(tmp_path: Path) -> None:
    """Every problem is printed with its node, the expected value and a suggestion."""
    workflow = sampled(steps=0)
    workflow["3"]["inputs"]["sampler_name"] = "eulr"
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    done = cli("validate", "w.json", "--assume-files", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("✗ 2 problems")
    for text in ("node 3 KSampler, input steps", "expected: INT from 1 to 10000", "→ Did you mean 'euler'?"):
        assert text in done.stdout


def test_unreadable_files_exit_with_2(tmp_path: Path) -> None:
    """A missing file, a file without JSON and a wrong catalog exit with code 2."""
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    assert cli("validate", "none.json", cwd=tmp_path).returncode == 2
    assert cli("validate", "bad.json", cwd=tmp_path).returncode == 2
    assert cli("validate", WORKFLOW, "--catalog", "list.json", cwd=tmp_path).returncode == 2


SMALL = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
FILES = {
    "as PowerShell writes it": json.dumps(SMALL).encode("utf-16"),
    "as Notepad writes it": json.dumps(SMALL).encode("utf-8-sig"),
    "RunPod's test_input.json": json.dumps({"input": {"workflow": SMALL}}).encode(),
    "the stock template's payload": json.dumps({"input": {"workflow_json": json.dumps(SMALL)}}).encode(),
    "a body of ComfyUI's": json.dumps({"prompt": SMALL, "client_id": "abc"}).encode(),
    "with the editor's keys": json.dumps({**SMALL, "version": 0.4, "extra": {}}).encode(),
    "JSON in JSON": json.dumps(json.dumps(SMALL)).encode() + b"\n\0",
}


@pytest.mark.parametrize("name", FILES)
def test_workflow_files_of_other_tools(tmp_path: Path, name: str) -> None:
    """A workflow file can have any encoding, and can be the body of a request."""
    (tmp_path / "w.json").write_bytes(FILES[name])
    done = cli("validate", "w.json", "--assume-files", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 nodes" in done.stdout


def listed(name: str, field: str, files: list[str], **others: Any) -> dict[str, Any]:
    """Return a catalog with one class whose field lists files."""
    required = {field: [files, {}], **{other: [kind, {}] for other, kind in others.items()}}
    outputs = {"output": ["IMAGE"], "output_is_list": [False], "output_name": ["IMAGE"], "output_node": True}
    return {name: {"input": {"required": required}, "name": name, "display_name": name, **outputs}}


@pytest.mark.parametrize(
    ("known", "inputs", "there"),
    [
        (listed("LoadLatent", "latent", ["a.latent"]), {"latent": "a.latent"}, True),
        (listed("LoadLatent", "latent", ["a.latent"]), {"latent": "b.latent"}, False),
        (listed("LoadImageOutput", "image", ["a.png [output]"]), {"image": "a.png [output]"}, True),
        (listed("LoadImageOutput", "image", ["a.png [output]"]), {"image": "a.png"}, False),
        (listed("LoadImage", "image", ["b.png"]), {"image": "a.png [temp]"}, False),
        (listed("VHS_LoadImages", "directory", ["frames"]), {"directory": "frames"}, True),
        (listed("VHS_LoadImages", "directory", ["frames"]), {"directory": "other"}, False),
        (
            listed("LatentReceiver", "latent", ["a.latent [output]"], link_id="INT", trigger_always="BOOLEAN"),
            {"latent": "a.latent [output]", "link_id": 0, "trigger_always": False},
            True,
        ),
    ],
)
def test_a_class_finds_the_files_that_its_catalog_lists(
    tmp_path: Path, known: dict[str, Any], inputs: dict[str, Any], there: bool
) -> None:
    """A file is present if the class itself lists it in the catalog, with its annotation."""
    (tmp_path / "c.json").write_text(json.dumps(known))
    (tmp_path / "w.json").write_text(json.dumps({"1": {"class_type": next(iter(known)), "inputs": inputs}}))
    done = cli("validate", "w.json", "--catalog", "c.json", "--strict", cwd=tmp_path)
    assert done.returncode == (not there), done.stdout + done.stderr


def test_a_saved_request_has_its_files(tmp_path: Path) -> None:
    """`run` sends the images of a `test_input.json`. Files of `--input` take precedence."""
    image = {"name": "a.png", "image": "AAAA"}
    (tmp_path / "w.json").write_text(json.dumps({"input": {"workflow": SMALL, "images": [image]}}))
    (tmp_path / "b.png").write_bytes(b"b")
    assert read_request(tmp_path / "w.json") == {"workflow": SMALL, "inputs": {"a.png": "AAAA"}}
    given = read_request(tmp_path / "w.json", inputs=[f"a.png={tmp_path / 'b.png'}"])
    assert given["inputs"] == {"a.png": "Yg=="}


async def test_url_validates_with_a_running_worker(client: Client, tmp_path: Path) -> None:
    """`--url` prints the report of a worker, and with `--json` its response. The scheme is optional."""
    workflow = sampled(steps=0)
    workflow["9"]["class_type"] = "SaveImagge"
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    there = await asyncio.to_thread(cli, "validate", "w.json", "--url", client.app.url, cwd=tmp_path)
    here = await asyncio.to_thread(cli, "validate", "w.json", "--assume-files", cwd=tmp_path)
    assert (there.returncode, here.returncode) == (1, 1)
    assert there.stdout.partition("\n\n  ✗ models/")[0] == here.stdout.partition("\n\n  ✓ models/")[0]
    assert "Did you mean 'SaveImage'?" in there.stdout
    done = await asyncio.to_thread(cli, "validate", "w.json", "--url", client.app.url + "/", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == (await client.post("/validate", {"workflow": workflow}))[1]
    workflow = sampled()
    workflow["3"]["inputs"]["seed"] = -1
    (tmp_path / "w.json").write_text(json.dumps(workflow))
    done = await asyncio.to_thread(
        cli, "validate", "w.json", "--url", client.app.url.removeprefix("http://"), "--strict", cwd=tmp_path
    )
    assert (done.returncode, "Value -1 smaller than min" in done.stdout) == (1, True)


async def test_no_report_of_a_worker_exits_with_2(engine: EngineHandle, tmp_path: Path) -> None:
    """Without a token, a worker or consistent options, `validate --url` exits with 2 and the reason."""
    (tmp_path / "w.json").write_text(json.dumps(sampled()))
    async with worker(engine, tmp_path / "state", tokens=SecretStr("me=0123456789abcdef")) as client:
        url = client.app.url
        for options, words in (
            (["--url", url], "token"),
            (["--url", "http://127.0.0.1:9"], "no worker responds at http://127.0.0.1:9"),
            (["--url", engine.url], "it is no worker"),
            (["--url", url, "--assume-files"], "has its own"),
        ):
            done = await asyncio.to_thread(cli, "validate", "w.json", *options, cwd=tmp_path)
            assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        options = ["--url", url, "--token", "0123456789abcdef"]
        done = await asyncio.to_thread(cli, "validate", "w.json", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_saved_request_that_names_a_template_is_validated(tmp_path: Path) -> None:
    """validate fills the template of a request, and names a parameter that does not fit with its limits."""
    (tmp_path / "request.json").write_text('{"template": "smoke-resize", "params": {"width": 64}}')
    (tmp_path / "wrong.json").write_text('{"template": "smoke-resize", "params": {"width": -1}}')
    assert cli("validate", "request.json", cwd=tmp_path).returncode == 0
    wrong = cli("validate", "wrong.json", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "parameter 'width' is -1" in wrong.stderr
    assert "comfy-worker templates show smoke-resize" in wrong.stderr

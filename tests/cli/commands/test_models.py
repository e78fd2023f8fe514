"""`comfy-worker models`, the real command."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from tests.cli.terminal import WORKFLOWS, cli
from tests.fetch.origin import broken, content, in_turn, opened, ranged, serving
from tests.workflow.prompts import link, node, sampled

DATA = b"weights" * 10_000


def template(folder: Path, *models: tuple[str, str]) -> str:
    """Write a template `small` with these checkpoints, by name and URL, and return its folder."""
    folder.mkdir()
    (folder / "small.json").write_text(json.dumps(sampled()))
    text = 'title = "Small"\nabout = "A."\noutputs = ["9"]\n'
    for name, url in models:
        text += f'[[models]]\nfile = "{name}"\nfolder = "checkpoints"\nurl = "{url}"\n'
        text += f'size = {len(DATA)}\nsha256 = "{hashlib.sha256(DATA).hexdigest()}"\n'
    (folder / "small.toml").write_text(text)
    return str(folder)


def test_plan_lists_files_and_changes_nothing(tmp_path: Path) -> None:
    """`plan` lists the files of templates and workflow files, writes nothing, and exits with 1 while one is missing."""
    done = cli("models", "plan", "sdxl", WORKFLOWS / "sd15-res4lyf.json", "--json", cwd=tmp_path)
    body = json.loads(done.stdout)
    assert done.returncode == 1
    assert {row["file"]: row["state"] for row in body["files"]} == {
        "sd_xl_base_1.0.safetensors": "missing",
        "v1-5-pruned-emaonly-fp16.safetensors": "missing",
    }
    assert list(tmp_path.iterdir()) == []


def test_plan_names_what_is_unknown(tmp_path: Path) -> None:
    """`plan` suggests a template for an unknown name, and names files without a download and a missing folder."""
    assert "flux-schnell" in cli("models", "plan", "flux-schnel", cwd=tmp_path).stderr
    (tmp_path / "w.json").write_text(json.dumps(sampled()))
    done = cli("models", "plan", "w.json", cwd=tmp_path)
    assert "no download is known for this file" in done.stdout
    done = cli("models", "plan", "sdxl", cwd=tmp_path, WORKER_COMFYUI="http://127.0.0.1:9")
    assert "WORKER_MODELS_FOLDER" in done.stderr


def test_plan_reads_the_downloads_of_an_editor_workflow(tmp_path: Path) -> None:
    """The downloads in an editor workflow are used for the models that its nodes need."""
    models = [
        {"name": name, "url": f"https://example.com/{name}", "directory": "upscale_models"}
        for name in ("a.pth", "b.pth")
    ]
    loader = {"id": 1, "type": "UpscaleModelLoader", "mode": 0, "inputs": [], "widgets_values": ["a.pth"]}
    loader |= {"properties": {"models": models}, "outputs": [{"name": "UPSCALE_MODEL", "links": [1]}]}
    shown = {"id": 2, "type": "PreviewAny", "mode": 0, "inputs": [{"name": "source", "type": "*", "link": 1}]}
    workflow = {"nodes": [loader, {**shown, "outputs": []}], "links": [[1, 1, 0, 2, 0, "*"]], "version": 0.4}
    (tmp_path / "ui.json").write_text(json.dumps(workflow))
    (row,) = json.loads(cli("models", "plan", "ui.json", "--json", cwd=tmp_path).stdout)["files"]
    assert (row["file"], row["folder"], row["url"]) == ("a.pth", "upscale_models", "https://example.com/a.pth")
    (row,) = json.loads(cli("validate", "ui.json", "--json", cwd=tmp_path).stdout)["models"]
    assert (row["file"], row["here"], row["url"]) == ("a.pth", False, "https://example.com/a.pth")


def test_a_model_that_cannot_be_seen_is_not_runnable(tmp_path: Path) -> None:
    """A node that may need an unknown model is listed with the reason, and the exit code is 1."""
    prompt = sampled() | {"7": node("ADE_LoadAnimateDiffModel", model_name="mm.ckpt")}
    prompt["3"]["inputs"]["model"] = link("7")
    (tmp_path / "w.json").write_text(json.dumps(prompt))
    (tmp_path / "plain.json").write_text(json.dumps(sampled()))
    (tmp_path / "m" / "checkpoints").mkdir(parents=True)
    (tmp_path / "m" / "checkpoints" / "m.safetensors").write_bytes(DATA)
    assert cli("models", "plan", "plain.json", "--folder", "m", cwd=tmp_path).returncode == 0
    done = cli("models", "plan", "w.json", "--folder", "m", "--json", cwd=tmp_path)
    body = json.loads(done.stdout)
    assert (done.returncode, body["runnable"]) == (1, False)
    assert [(one["workflow"], one["node_id"], one["value"]) for one in body["not_seen"]] == [("w.json", "7", "mm.ckpt")]
    assert "? not seen" in cli("models", "plan", "w.json", "--folder", "m", cwd=tmp_path).stdout
    assert cli("models", "fetch", "w.json", "--folder", "m", cwd=tmp_path).returncode == 0


def test_a_file_that_cannot_be_converted_is_not_runnable(tmp_path: Path) -> None:
    """A workflow that cannot be converted is not runnable, as the models of its nodes are unknown."""
    workflow = {"nodes": [{"id": 7, "type": "SaveImagge"}], "links": []}
    (tmp_path / "ui.json").write_text(json.dumps(workflow))
    done = cli("models", "plan", "ui.json", "--json", cwd=tmp_path)
    assert (done.returncode, [one["node_id"] for one in json.loads(done.stdout)["not_seen"]]) == (1, ["7"])


def test_loras_and_embeddings_are_found_by_a_part_of_their_name(tmp_path: Path) -> None:
    """A part of the name of a LoRA or embedding finds its file, as in ComfyUI and the node packs."""
    prompt = sampled()
    entry = {"on": True, "lora": "detail", "strength": 1}
    prompt["7"] = node("Power Lora Loader (rgthree)", model=link("4"), clip=link("4", 1), lora_1=entry)
    prompt["3"]["inputs"]["model"] = link("7")
    prompt["6"]["inputs"]["text"] = "a, embedding:hands"
    (tmp_path / "w.json").write_text(json.dumps(prompt))
    for name in ("checkpoints/m.safetensors", "loras/styles/detail.safetensors", "embeddings/hands.pt"):
        (tmp_path / "m" / name).parent.mkdir(parents=True)
        (tmp_path / "m" / name).write_bytes(DATA)
    done = cli("models", "plan", "w.json", "--folder", "m", "--json", cwd=tmp_path)
    assert [row["file"] for row in json.loads(done.stdout)["files"]] == [
        *("m.safetensors", "styles/detail.safetensors", "hands.pt"),
    ]
    assert done.returncode == 0


async def test_fetch_downloads_missing_files(tmp_path: Path) -> None:
    """`fetch` resumes a broken download, and a second `fetch` downloads nothing."""
    answers = {"a": in_turn(broken(DATA, 1000, ETag='"1"'), ranged(DATA, ETag='"1"')), "b": content(DATA)}
    async with serving(**answers) as origin:
        templates = template(tmp_path / "t", *((f"{name}.safetensors", origin.url(f"/{name}")) for name in "ab"))
        env = {"WORKER_TEMPLATES": templates, "WORKER_FETCH_ALLOW": opened(origin)}
        done = await asyncio.to_thread(cli, "models", "fetch", "small", "--folder", "m", cwd=tmp_path, **env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("✓ here") == 2
        assert {path.name: path.read_bytes() for path in (tmp_path / "m" / "checkpoints").iterdir()} == {
            "a.safetensors": DATA,
            "b.safetensors": DATA,
        }
        asked = len(origin.requests)
        await asyncio.to_thread(cli, "models", "fetch", "small", "--folder", "m", cwd=tmp_path, **env)
        assert len(origin.requests) == asked


async def test_fetch_names_files_that_it_could_not_download(tmp_path: Path) -> None:
    """A wrong download is named with the reason and exits with 1. The other files arrive, and the user's file stays."""
    async with serving(a=content(b"x"), b=content(DATA)) as origin:
        templates = template(tmp_path / "t", *((f"{name}.safetensors", origin.url(f"/{name}")) for name in "ab"))
        env = {"WORKER_TEMPLATES": templates, "WORKER_FETCH_ALLOW": opened(origin)}
        done = await asyncio.to_thread(cli, "models", "fetch", "small", "--folder", "m", cwd=tmp_path, **env)
        assert done.returncode == 1
        assert "it has 1 bytes instead of 70000" in done.stdout
        folder = tmp_path / "m" / "checkpoints"
        assert [path.name for path in folder.iterdir()] == ["b.safetensors"]
        (folder / "a.safetensors").write_bytes(b"mine")
        done = await asyncio.to_thread(cli, "models", "fetch", "small", "--folder", "m", cwd=tmp_path, **env)
        assert (done.returncode, (folder / "a.safetensors").read_bytes()) == (1, b"mine")

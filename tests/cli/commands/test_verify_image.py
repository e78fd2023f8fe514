"""`comfy-worker verify-image` on a main.py that logs as ComfyUI does, and then becomes the embedded engine."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.cli.terminal import ROOT, cli
from tests.engine.process.test_import_log import TRACE
from tests.node_packs import comfyui_folder
from tests.node_packs.comfyui_folder import imported
from worker.workflow.catalog.catalog import Catalog

PINS = ROOT / "comfyui_nodes.txt"
BASE = ("RES4LYF", "ControlAltAI-Nodes")


def verify(
    home: Path,
    log: str,
    *arguments: object,
    packs: tuple[str, ...] = BASE,
    classes: Mapping[str, object] | None = None,
    code: int | None = None,
) -> subprocess.CompletedProcess[str]:
    folder = comfyui_folder.write(home / "ComfyUI", packs, log, classes=classes, code=code)
    before = sorted(folder.rglob("*"))
    given = ("--comfyui", folder, *(() if "--pins" in arguments else ("--pins", PINS)), *arguments)
    done = cli("verify-image", *given, cwd=home, WORKER_ENGINE_START="20")
    assert sorted(folder.rglob("*")) == before, "an image is read-only"
    return done


def test_a_working_image_passes(tmp_path: Path) -> None:
    """All packs and templates of a working image pass, and --object-info writes its node classes."""
    kept = tmp_path / "object_info.json.gz"
    done = verify(tmp_path, imported(*BASE), "--object-info", kept)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "✓ pack RES4LYF imported in 0.1 s" in lines
    assert "✓ template sd15-res4lyf accepted" in lines
    assert "– template instantid needs ComfyUI_InstantID" in lines
    info = json.loads(gzip.decompress(kept.read_bytes()))
    assert set(info) > set(Catalog.bundled())
    assert "stand-in" not in json.dumps(info)
    for where in (("--catalog", kept), ()):
        workflow = ROOT / "workflows" / "smoke-resize.json"
        checked = cli("validate", workflow, *where, cwd=tmp_path, WORKER_CATALOG=str(kept))
        assert checked.returncode == 0, checked.stdout


def test_a_pack_that_is_not_imported_fails(tmp_path: Path) -> None:
    """A pack that is not imported fails with its traceback and with the class that a template needs."""
    log = f"{TRACE.replace('One', 'RES4LYF')}\n\nCannot import HERE/custom_nodes/RES4LYF module for custom nodes: x\n"
    log += imported("ControlAltAI-Nodes") + "   0.2 seconds (IMPORT FAILED): HERE/custom_nodes/RES4LYF\n"
    done = verify(tmp_path, log, classes={"ClownsharKSampler_Beta": None}, code=None)
    assert done.returncode == 1
    assert "RES4LYF                is not imported: ImportError: cannot import name 'Gone'" in done.stdout
    assert "    from comfy.samplers import Gone" in done.stdout
    assert "there is no class ClownsharKSampler_Beta" in done.stdout


def test_a_pack_without_its_class_or_its_import_fails(tmp_path: Path) -> None:
    """A pack fails without a class of `needs=`, and without a line about its import in the log."""
    done = verify(tmp_path, imported("RES4LYF"), "--json", classes={"Sigmas Rescale": None})
    assert done.returncode == 1
    found = {row["name"]: row for row in json.loads(done.stdout)["findings"] if row["kind"] == "pack"}
    assert found["RES4LYF"]["says"] == "is imported, but has no class Sigmas Rescale"
    assert found["ControlAltAI-Nodes"]["says"] == "ComfyUI's log does not mention its import"


def test_a_rejected_template_fails_by_node_and_field(tmp_path: Path) -> None:
    """A rejected template fails with its node and field, and no node classes are written."""
    sampler = Catalog.bundled().object_info("ClownsharKSampler_Beta")
    names = sampler["input"]["required"]["sampler_name"]
    names[0] = ["none"]
    kept = tmp_path / "kept.json"
    done = verify(tmp_path, imported(*BASE), "--object-info", kept, classes={"ClownsharKSampler_Beta": sampler})
    assert (done.returncode, kept.exists()) == (1, False)
    assert "sd15-res4lyf           is rejected" in done.stdout
    assert "  node 3 Sampler (ClownsharKSampler_Beta), input sampler_name: Value not in list" in done.stdout
    assert "sdxl                   accepted" in done.stdout


def test_a_pack_that_needs_a_gpu_is_excused(tmp_path: Path) -> None:
    """A pack with `gpu-import` in the file may fail to import, and is marked as not tested."""
    lines = PINS.read_text("utf-8").splitlines()
    excused = [f"{line.partition('#')[0]} gpu-import" if line.startswith("RES4LYF") else line for line in lines]
    (tmp_path / "pins.txt").write_text("\n".join(excused))
    log = imported("ControlAltAI-Nodes") + "   0.2 seconds (IMPORT FAILED): HERE/custom_nodes/RES4LYF\n"
    lost = {"ClownsharKSampler_Beta": None}
    done = verify(tmp_path, log, "--pins", tmp_path / "pins.txt", classes=lost)
    assert done.returncode == 0, done.stdout
    assert "needs a GPU to be imported, so the worker checks it at its start" in done.stdout
    assert "?  template  sd15-res4lyf           needs RES4LYF" in done.stdout


def test_a_comfyui_that_dies_fails_with_its_log(tmp_path: Path) -> None:
    """A ComfyUI that dies fails at once, with the last lines of its log."""
    done = verify(tmp_path, "ModuleNotFoundError: No module named 'torch'", code=1)
    assert done.returncode == 1
    assert "it ended with code 1" in done.stdout
    assert "  ModuleNotFoundError: No module named 'torch'" in done.stdout


def test_a_folder_without_comfyui_is_rejected(tmp_path: Path) -> None:
    """A folder without ComfyUI and a URL are rejected."""
    for comfyui in (tmp_path, "http://127.0.0.1:1"):
        done = cli("verify-image", "--pins", PINS, "--comfyui", comfyui, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("comfy-worker: ")

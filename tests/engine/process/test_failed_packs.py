"""Tests of node packs that ComfyUI could not import."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Client
from tests.node_packs import comfyui_folder
from tests.workflow.prompts import empty, link, node, saved
from worker.app import build
from worker.engine.process.failed_packs import (
    FailedPack,
    PackStage,
    find_packs,
    name_failed_packs,
    read_failed_packs,
)
from worker.engine.process.log_file import START
from worker.settings import Settings
from worker.workflow.validation.explain import Problem

WARNING = "\x1b[1m\x1b[33m[WARNING]\x1b[0m "
LOG = f"""
\x1b[1m\x1b[31m[ERROR]\x1b[0m Failed to execute startup-script: HERE/custom_nodes/Early/prestartup_script.py / no key:
set one
{WARNING}Traceback (most recent call last):
  File "HERE/nodes.py", line 2263, in load_custom_node
    module_spec.loader.exec_module(module)
ModuleNotFoundError: No module named 'gone':
it was never installed

{WARNING}Cannot import HERE/custom_nodes/Comfy-Broken module for custom nodes: No module named 'gone':
it was never installed
{WARNING}Skip HERE/custom_nodes/notes module for custom nodes due to the lack of NODE_CLASS_MAPPINGS (need one).
{WARNING}Traceback (most recent call last):
  File "HERE/nodes.py", line 2263, in load_custom_node
SystemError

{WARNING}Cannot import HERE/custom_nodes/single.py module for custom nodes: 
{WARNING}Error while calling comfy_entrypoint in HERE/custom_nodes/v3: no licence
\x1b[32m[INFO]\x1b[0m 
Import times for custom nodes:
\x1b[32m[INFO]\x1b[0m    0.0 seconds: HERE/custom_nodes/Early
\x1b[32m[INFO]\x1b[0m    0.1 seconds (IMPORT FAILED): HERE/custom_nodes/Comfy-Broken
\x1b[32m[INFO]\x1b[0m    0.1 seconds (IMPORT FAILED): HERE/custom_nodes/notes
\x1b[32m[INFO]\x1b[0m    0.1 seconds (IMPORT FAILED): HERE/custom_nodes/single.py
\x1b[32m[INFO]\x1b[0m    0.1 seconds (IMPORT FAILED): HERE/custom_nodes/v3
IMPORT FAILED: nodes_audio.py
"""  # noqa: W291 - as ComfyUI writes it
SOURCE = """
NODE_CLASS_MAPPINGS = {"Broken Node": Node}
NODE_CLASS_MAPPINGS["Another"] = Node
SEE_ALSO = ["NeitherThis"]
"""


def test_each_failure_of_the_last_start_is_read(tmp_path: Path) -> None:
    """`read_failed_packs` returns the failures of the last start with their exceptions."""
    log = tmp_path / "engine.log"
    assert read_failed_packs(log) == ()
    log.write_bytes(START + LOG.replace("v3", "older").encode() + START + LOG.replace("HERE", "/c").encode())
    found = {pack.name: (pack.stage.value, pack.reason) for pack in read_failed_packs(log)}
    assert found == {
        "Comfy-Broken": ("import", "ModuleNotFoundError: No module named 'gone'"),
        "Early": ("prestartup", "no key"),
        "nodes_audio.py": ("import", "its reason is not in the log"),
        "notes": ("import", "due to the lack of NODE_CLASS_MAPPINGS (need one)"),
        "single.py": ("import", "SystemError"),
        "v3": ("import", "no licence"),
    }
    log.write_bytes(log.read_bytes() + START)
    assert read_failed_packs(log) == ()


def test_a_class_is_found_in_the_source_of_its_pack(tmp_path: Path) -> None:
    """`find_packs` finds a class as a key or node id, or as any string if only one pack contains it."""
    for name, source in {"one": SOURCE, "two": "NAMES = ['Another', 'Twice']", "three": "Schema(node_id='V3')"}.items():
        (tmp_path / name / "nodes").mkdir(parents=True)
        (tmp_path / name / "nodes" / "a.py").write_text(source)
    (tmp_path / "four.py").write_text("'Twice'; x = 'Single'")
    packs = [FailedPack(path.name, "x", path=path) for path in sorted(tmp_path.iterdir())]
    names = ("Broken Node", "Another", "NeitherThis", "V3", "Single", "Twice", "Broken", "nodes")
    found = find_packs(packs, dict.fromkeys(names, ()))
    assert {name: pack.name for name, pack in found.items()} == {
        "Broken Node": "one",
        "Another": "one",
        "NeitherThis": "one",
        "V3": "three",
        "Single": "four.py",
    }


def test_a_pack_is_known_by_its_registry_id(tmp_path: Path) -> None:
    """`find_packs` uses the id in a pack's project file, and ignores an unreadable one."""
    for name, text in {"one": '[project]\nname = "comfyui-some-pack"\n', "two": "[project", "three": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    packs = [FailedPack(path.name, "x", path=path) for path in sorted(tmp_path.iterdir())]
    found = find_packs(packs, {"A": ["ComfyUI-Some-Pack"], "B": ["two"], "C": ["four"]})
    assert {name: pack.name for name, pack in found.items()} == {"A": "one", "B": "two"}


def test_a_pack_is_known_by_the_name_in_the_workflow() -> None:
    """`find_packs` ignores case and separators, and packs that were imported."""
    packs = [FailedPack("ComfyUI-Impact-Pack", "x"), FailedPack("Early", "y", PackStage.PRESTARTUP)]
    found = find_packs(packs, {"A": ["comfyui_impact_pack"], "B": ["early"], "C": ["impact"]})
    assert {name: pack.name for name, pack in found.items()} == {"A": "ComfyUI-Impact-Pack"}


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[Client]:
    """A worker with a ComfyUI whose packs fail to import."""
    folder = comfyui_folder.write(tmp_path / "ComfyUI", ["Comfy-Broken", "v3", "RES4LYF"], LOG, classes={"RES": None})
    (folder / "custom_nodes" / "Comfy-Broken" / "__init__.py").write_text(SOURCE)
    settings = Settings.of(comfyui=str(folder), comfyui_args="--cpu", state=tmp_path / "state", port=0)
    async with build(settings) as app, aiohttp.ClientSession() as http:
        await app.ready()
        yield Client(app, http)


REASON = "the node pack Comfy-Broken failed to import: ModuleNotFoundError: No module named 'gone'"


async def test_an_answer_names_the_pack_and_the_reason(broken: Client) -> None:
    """The error for a missing class names its pack and the reason, for each format and in /validate."""
    prompt = {"1": empty(), "5": node("Broken Node", image=link("1")), "7": node("Broken Node", image=link("5"))}
    status, answer = await broken.post("/generate/sync", {"workflow": prompt | {"2": saved("7")}})
    assert status == 422
    [detail] = answer["error"]["details"]
    assert REASON in answer["error"]["message"]
    assert detail["message"] == f"This ComfyUI has no node class 'Broken Node' (nodes 5, 7): {REASON}."
    assert "Repair the pack" in detail["suggestion"]
    _, report = await broken.post("/validate", {"workflow": prompt | {"2": saved("7")}})
    assert [REASON in problem["message"] for problem in report["problems"]] == [True]
    editor = {"nodes": [{"id": 3, "type": "Made up", "properties": {"aux_id": "me/v3"}}], "links": []}
    for path in ("/generate/sync", "/convert"):
        _, answer = await broken.post(path, {"workflow": editor} if "sync" in path else editor)
        assert "the node pack v3 failed to import: no licence" in answer["error"]["message"]


async def test_a_pack_beside_a_prompt_counts(broken: Client) -> None:
    """The packs in `extra_pnginfo` are used for the nodes of an API prompt."""
    saved_nodes: list[Any] = [{"id": 5, "type": "Odd", "properties": {"cnr_id": "comfy-broken", "ver": "1.2"}}]
    body = {
        "workflow": {"5": node("Odd"), "6": node("Known"), "1": empty(), "2": saved("1")},
        "extra_data": {"extra_pnginfo": {"workflow": {"nodes": saved_nodes, "links": []}}},
    }
    saved_nodes.append({"id": 6, "type": "Known", "properties": {"cnr_id": "other-pack", "ver": "3.4"}})
    _, answer = await broken.post("/generate/sync", body)
    first, second = answer["error"]["details"]
    assert REASON in first["message"]
    assert second["suggestion"].startswith("The workflow was saved with the node pack other-pack 3.4. Install it")
    _, report = await broken.post("/validate", body)
    assert [problem["message"] for problem in report["problems"]] == [first["message"], second["message"]]


async def test_what_belongs_to_no_known_pack_lists_the_failed_ones(broken: Client) -> None:
    """The error for a class without a known pack lists all failed packs."""
    _, answer = await broken.post("/generate/sync", {"workflow": {"1": node("Nowhere At All")}})
    expected = "Node packs that failed to import on this worker: Comfy-Broken, nodes_audio.py, notes, single.py, v3."
    assert answer["error"]["details"][0]["suggestion"] == expected


async def test_a_file_of_comfyuis_own_nodes_counts() -> None:
    """The error for a class of comfy_extras names the file that could not be imported."""
    missing = Problem("1", "Save", "SaveAudio", None, "There is no class.", "It comes with ComfyUI.", None)
    [found] = await name_failed_packs([missing], [FailedPack("nodes_audio.py", "no av")], None, lambda _: True)
    assert found.message == "There is no class: ComfyUI's own nodes_audio.py failed to import: no av."


async def test_capabilities_list_the_packs_that_failed(broken: Client, client: Client) -> None:
    """/capabilities lists failed packs, and has null for a ComfyUI that the worker does not start."""
    _, found = await broken.get("/capabilities")
    assert {"name": "v3", "stage": "import", "reason": "no licence"} in found["failed_packs"]
    assert {"name": "Early", "stage": "prestartup", "reason": "no key"} in found["failed_packs"]
    assert (await client.get("/capabilities"))[1]["failed_packs"] is None

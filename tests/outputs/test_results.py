"""Every result arrives, whatever the node reports, and nobody gets a file of another job. The worker's own engine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import worker
from tests.engine.supervised import Supervised, runs, supervised
from tests.engines import EngineHandle

Workflow = dict[str, dict[str, Any]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervised]:
    """A worker with its own engine, whose results live for a second."""
    async with supervised(tmp_path_factory.mktemp("own"), result_ttl_s=1.0) as found:
        yield found


pytestmark = pytest.mark.asyncio(loop_scope="module")


def node(kind: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def with_picture(*nodes: dict[str, Any], color: int = 1) -> Workflow:
    """The nodes from id 5 on, and a picture as node 1 that they take as their image."""
    made = {"1": node("EmptyImage", width=32, height=32, batch_size=1, color=color)}
    return made | {str(5 + place): one for place, one in enumerate(nodes)}


def report(value: object) -> dict[str, Any]:
    return node("EmbeddedReport", json=json.dumps(value))


async def run(client: Supervised, workflow: Workflow, **more: object) -> dict[str, Any]:
    status, body = await client.post("/generate/sync", {"workflow": workflow, **more})
    assert status == 200, body
    return body


def told(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["node_id"], one["kind"], one["filename"] or one["text"]) for one in body["outputs"]]


def files(client: Supervised) -> list[str]:
    """All files in the folders of the engine."""
    engine = client.app.engines.first.config
    roots = [root for root in (engine.output, engine.temp) if root]
    return sorted(str(path.relative_to(root.parent)) for root in roots for path in root.rglob("*") if path.is_file())


async def emptied(client: Supervised) -> None:
    """Wait until the results so far have lived their time."""
    async with asyncio.timeout(20):
        while files(client):
            await asyncio.sleep(0.1)


async def test_an_unreported_file_is_delivered(client: Supervised) -> None:
    """The file of a saver that reports nothing is found, and delivered as an output of that node."""
    body = await run(client, with_picture(node("EmbeddedSaveSilently", image=["1", 0], prefix="sub/quiet")))
    [output] = body["outputs"]
    assert (output["node_id"], output["kind"], output["subfolder"], output["width"]) == ("5", "image", "sub", 32)
    assert output["filename"].startswith("quiet")
    assert body["image"] == output["data"]
    assert "problems" not in body


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_path_as_text_is_a_file(client: Supervised, absolute: bool) -> None:
    """Relative or absolute, under a key of the node's own."""
    saver = node("EmbeddedPathString", image=["1", 0], prefix="named", absolute=absolute)
    body = await run(client, with_picture(saver, color=10 + absolute))
    [output] = body["outputs"]
    assert (output["node_id"], output["kind"]) == ("5", "image")
    assert base64.b64decode(output["data"]).startswith(b"\x89PNG")


async def test_a_preview_beside_a_saved_file_is_no_output(client: Supervised) -> None:
    """Whatever the node ids say: the preview has the lower one and ran first."""
    workflow = with_picture(node("SaveImage", images=["1", 0], filename_prefix="kept"), color=20)
    workflow["2"] = node("PreviewImage", images=["1", 0])
    body = await run(client, workflow)
    assert [(one["node_id"], one["kind"]) for one in body["outputs"]] == [("5", "image")]
    assert body["image"] == body["outputs"][0]["data"]


async def test_a_preview_beside_an_unreported_file_is_no_output(client: Supervised) -> None:
    """A file that was found counts as saved."""
    quiet = node("EmbeddedSaveSilently", image=["1", 0], prefix="q")
    body = await run(client, with_picture(node("PreviewImage", images=["1", 0]), quiet, color=21))
    assert [one["node_id"] for one in body["outputs"]] == ["6"]


@pytest.mark.parametrize(
    ("reported", "outputs"),
    [
        ({"value": [8]}, [("5", "json", "8")]),
        ({"text": [42]}, [("5", "json", "42")]),
        ({"flag": [True], "animated": [True]}, [("5", "json", "true")]),
        ({"box": [{"x": 1}]}, [("5", "json", '{"x":1}')]),
        ({"text": ["ab", "ab"], "value": [3]}, [("5", "text", "ab"), ("5", "text", "ab")]),
        ({"string": "WAS"}, [("5", "text", "WAS")]),
        ({"tags": ["1girl, solo"]}, [("5", "text", "1girl, solo")]),
        ({"text": "letters"}, [("5", "text", "letters")]),
    ],
)
async def test_what_a_node_says_is_its_result(client: Supervised, reported: object, outputs: list) -> None:
    """Numbers, booleans and objects only where the node reports nothing else."""
    body = await run(client, with_picture(report(reported)))
    assert told(body) == outputs


async def test_values_are_there_as_they_are(client: Supervised) -> None:
    """Beside the JSON as text, so that nobody has to parse it."""
    body = await run(client, with_picture(report({"value": [{"a": [1, None]}]})))
    assert body["outputs"][0]["value"] == {"a": [1, None]}


async def test_nothing_at_all_is_told(client: Supervised) -> None:
    """A success without outputs carries a problem that says so."""
    body = await run(client, with_picture(report({"animated": [True]})))
    assert body["outputs"] == []
    [problem] = body["problems"]
    assert (problem["code"], problem["node_id"]) == ("no_outputs", None)
    assert set(problem) == {
        *("message", "node_id", "node_title", "class_type", "input", "suggestion", "expected", "comfyui_type"),
        *("code", "output"),
    }


@pytest.mark.parametrize(
    ("filename", "code"),
    [("gone.png", "output_missing"), ("../../secret.png", "output_not_allowed"), (".", "output_unreadable")],
)
async def test_one_bad_output_costs_no_other(client: Supervised, filename: str, code: str) -> None:
    """A missing file is a problem that names node, file and reason. If nothing else arrived, the job fails with 422."""
    bad = report({"images": [{"filename": filename, "subfolder": "", "type": "output"}]})
    body = await run(client, with_picture(bad, node("SaveImage", images=["1", 0], filename_prefix="good"), color=30))
    assert [one["node_id"] for one in body["outputs"]] == ["6"]
    [problem] = body["problems"]
    assert (problem["code"], problem["node_id"], problem["output"]) == (code, "5", filename)
    status, alone = await client.post("/generate/sync", {"workflow": with_picture(bad)})
    assert (status, alone["error"]["code"], alone["error"]["retryable"]) == (422, "output_missing", False)
    assert alone["error"]["details"][0]["node_id"] == "5"


async def test_a_promised_path_that_is_not_there_is_a_problem(client: Supervised) -> None:
    """Not what the workflow says itself, which a node may only repeat."""
    there = node("SaveImage", images=["1", 0], filename_prefix="good")
    body = await run(client, with_picture(report({"file_path": ["lost.png"]}), there, color=31))
    assert [(one["code"], one["output"]) for one in body["problems"]] == [("output_missing", "lost.png")]


async def test_models_are_delivered_on_demand(client: Supervised) -> None:
    """Else a problem says how to get them."""
    workflow = with_picture(node("EmbeddedSaveModel", prefix="mine"))
    body = await run(client, workflow)
    assert body["outputs"] == []
    assert [one["code"] for one in body["problems"]] == ["model_not_delivered"]
    assert "deliver_models" in body["problems"][0]["suggestion"]
    workflow["5"]["inputs"]["prefix"] = "mine2"
    body = await run(client, workflow, deliver_models=True)
    [output] = body["outputs"]
    assert (output["kind"], output["subfolder"]) == ("model", "checkpoints")


@pytest.mark.parametrize(
    "saver",
    [
        node("SaveImage", images=["1", 0], filename_prefix="again"),
        node("PreviewImage", images=["1", 0]),
        node("EmbeddedSaveSilently", image=["1", 0], prefix="again"),
        node("EmbeddedPathString", image=["1", 0], prefix="again", absolute=False),
    ],
    ids=lambda saver: saver["class_type"],
)
async def test_the_same_request_has_its_files_each_time(client: Supervised, saver: dict[str, Any]) -> None:
    """ComfyUI answers from its cache: only the saver runs again, once a job, and nothing that it takes."""
    workflow = with_picture(saver, color=abs(hash(saver["class_type"])) % 1000)
    workflow["1"] = node("EmptyImage", width=32, height=32, batch_size=1, color=len(saver["class_type"]))
    workflow["3"] = node("ImageInvert", image=["1", 0])
    next(iter(workflow["5"]["inputs"]))
    workflow["5"]["inputs"] |= {name: ["3", 0] for name in ("image", "images") if name in workflow["5"]["inputs"]}
    await emptied(client)
    before, answers = len(await runs(client.engine_says)), []
    for _ in range(3):
        answers.append(told(await run(client, workflow)))
        await emptied(client)
    assert all(len(outputs) == 1 for outputs in answers), answers
    assert {outputs[0][:2] for outputs in answers} == {("5", "image")}
    ran = [run for run in (await runs(client.engine_says))[before:] if "3" not in cached(run)]
    assert len(ran) == 1
    assert len((await runs(client.engine_says))[before:]) <= 5


def cached(run: dict[str, Any]) -> list[str]:
    found = [data["nodes"] for name, data in run["status"]["messages"] if name == "execution_cached"]
    return [node for nodes in found for node in nodes]


async def test_a_batch_of_which_one_is_gone_is_written_again_whole(client: Supervised) -> None:
    """Each file comes once, and what made the pictures is not run again."""
    workflow = with_picture(node("SaveImage", images=["1", 0], filename_prefix="batch"), color=55)
    workflow["1"]["inputs"]["batch_size"] = 3
    assert len((await run(client, workflow))["outputs"]) == 3
    engine = client.app.engines.first.config
    sorted(engine.output.glob("batch*"))[1].unlink()
    before = len(await runs(client.engine_says))
    body = await run(client, workflow)
    assert len(body["outputs"]) == len({one["filename"] for one in body["outputs"]}) == 3
    assert all("1" in cached(run) for run in (await runs(client.engine_says))[before:])


async def test_what_has_others_behind_it_is_written_by_a_copy(client: Supervised) -> None:
    """The saver hands its picture on: what takes it does not run again."""
    workflow = with_picture(node("SaveImage", images=["1", 0], filename_prefix="middle"), color=77)
    workflow["6"] = node("ImageInvert", image=["5", 0])
    workflow["7"] = node("EmbeddedReport", json='{"text": ["end"]}')
    workflow["8"] = node("PreviewAny", source=["6", 0])
    first = await run(client, workflow)
    await emptied(client)
    before = len(await runs(client.engine_says))
    second = await run(client, workflow)
    assert [one[:2] for one in told(second)] == [one[:2] for one in told(first)]
    assert all({"1", "6"} <= set(cached(run)) for run in (await runs(client.engine_says))[before:])


async def test_all_that_a_job_made_goes_with_its_result(client: Supervised) -> None:
    """Previews and what no node reported, too."""
    quiet = node("EmbeddedSaveSilently", image=["1", 0], prefix="bye")
    saved = node("SaveImage", images=["1", 0], filename_prefix="bye")
    await run(client, with_picture(quiet, saved, node("PreviewImage", images=["1", 0]), color=88))
    assert len(files(client)) >= 3
    await emptied(client)


async def test_a_late_file_of_the_same_job_arrives(client: Supervised) -> None:
    """A thread of the node wrote it while a later node ran."""
    workflow = with_picture(node("EmbeddedLateFile", image=["1", 0], prefix="soon", seconds=0.3), color=95)
    workflow["8"] = node("EmbeddedSleep", image=["1", 0], seconds=1.0, steps=1)
    workflow["9"] = node("SaveImage", images=["8", 0], filename_prefix="end")
    body = await run(client, workflow)
    assert [one["node_id"] for one in body["outputs"]] == ["5", "9"]


async def test_a_late_file_is_nobodys(client: Supervised) -> None:
    """Written after its prompt had ended, while another caller's job runs: it is delivered to neither, and removed."""
    await emptied(client)
    late = node("EmbeddedLateFile", image=["1", 0], prefix="late", seconds=0.5)
    other = with_picture(node("EmbeddedSleep", image=["1", 0], seconds=1.5, steps=3), color=91)
    other["9"] = node("EmbeddedSaveSilently", image=["5", 0], prefix="mine")
    first, second = await asyncio.gather(run(client, with_picture(late, color=90)), run(client, other))
    assert first["outputs"] == []
    assert [one["code"] for one in first["problems"]] == ["no_outputs"]
    assert [one["filename"][:4] for one in second["outputs"]] == ["mine"]
    await asyncio.sleep(5.1)
    client.app.services.outputs.sweep()
    assert not [name for name in files(client) if "late" in name]


async def test_files_of_jobs_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """Twenty quick jobs in the engine's queue, each with an unreported file of its own: none lost, none swapped.

    Nothing ran before them: after a node that owes a late file, a file that is not surely a job's is not delivered.
    """
    sizes = range(8, 28)

    def quick(size: int) -> Workflow:
        made = {"1": node("EmptyImage", width=size, height=size, batch_size=1, color=size)}
        return made | {"5": node("EmbeddedSaveSilently", image=["1", 0], prefix=f"s{size}")}

    async with supervised(tmp_path) as fresh:
        answers = await asyncio.gather(*(run(fresh, quick(size)) for size in sizes))
    found = [(body["outputs"][0]["width"], body["outputs"][0]["filename"].split("_")[0]) for body in answers]
    assert found == [(size, f"s{size}") for size in sizes]


@pytest.mark.parametrize("prefix", ["same/", ""])
async def test_a_file_that_is_overwritten_stays_what_it_was(client: Supervised, prefix: str) -> None:
    """With such a prefix ComfyUI counts from 1 each time and writes into the same file."""

    def saved(color: int) -> Workflow:
        return with_picture(node("SaveImage", images=["1", 0], filename_prefix=prefix), color=color)

    first = await run(client, saved(1000), id=f"overwritten{prefix[:4]}", output_format="url")
    second = await run(client, saved(2000))
    assert first["outputs"][0]["filename"] == second["outputs"][0]["filename"]
    async with client.http.get(first["outputs"][0]["url"]) as answer:
        assert hashlib.sha256(await answer.read()).hexdigest() == first["outputs"][0]["sha256"]


@pytest.mark.parametrize("letter", ["a", "ä", "画"])
async def test_the_longest_name_arrives(client: Supervised, letter: str) -> None:
    """A file system takes 255 bytes, and the worker's own name of the file is longer."""
    prefix = letter * ((255 - len("_00001_.png")) // len(letter.encode()))
    body = await run(client, with_picture(node("SaveImage", images=["1", 0], filename_prefix=prefix), color=70))
    assert [one["filename"] for one in body["outputs"]] == [f"{prefix}_00001_.png"]
    assert base64.b64decode(body["image"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("dialect", ["native", "runpod", "vast"])
async def test_problems_are_the_same_in_every_dialect(client: Supervised, dialect: str) -> None:
    """One object, beside whatever arrived."""
    bad = report({"images": [{"filename": "gone.png", "subfolder": "", "type": "output"}]})
    workflow = with_picture(bad, node("SaveImage", images=["1", 0], filename_prefix="good"), color=60)
    bodies: dict[str, Any] = {
        "native": {"workflow": workflow},
        "runpod": {"input": {"workflow": workflow}},
        "vast": {"input": {"workflow_json": workflow, "return_outputs_as_base64": True}},
    }
    status, body = await client.post("/generate/sync", bodies[dialect])
    assert status == 200
    [problem] = body["problems"]
    assert (problem["code"], problem["output"], problem["class_type"]) == (
        "output_missing",
        "gone.png",
        "EmbeddedReport",
    )


async def test_a_comfyui_given_by_url_cannot_be_looked_at(engine: EngineHandle, tmp_path: Path) -> None:
    """The answer says so of a node that reported nothing; with its output folder named it can."""
    quiet = {"workflow": with_picture(node("EmbeddedSaveSilently", image=["1", 0], prefix="url"), color=61)}
    async with worker(engine, tmp_path / "blind", comfyui_output=None, comfyui_input=None) as blind:
        _, body = await blind.post("/generate/sync", quiet)
    assert body["outputs"] == []
    assert [(one["code"], one["node_id"]) for one in body["problems"]] == [("output_not_seen", "5")]
    quiet["workflow"]["1"]["inputs"]["color"] = 62
    async with worker(engine, tmp_path / "seeing") as seeing:
        _, body = await seeing.post("/generate/sync", quiet)
    assert [one["filename"].split("_")[0] for one in body["outputs"]] == ["url"]


async def test_what_a_failed_job_wrote_is_removed(client: Supervised) -> None:
    """Reported or not: nobody can ask for it."""
    await emptied(client)
    workflow = with_picture(node("SaveImage", images=["1", 0], filename_prefix="failed"), color=63)
    workflow["6"] = node("EmbeddedSleep", image=["5", 0], seconds=0.2, steps=0)
    workflow["7"] = node("EmbeddedFail", image=["6", 0], message="on purpose")
    workflow["8"] = node("SaveImage", images=["7", 0], filename_prefix="never")
    status, _ = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 422
    assert [name.partition("_")[0] for name in files(client)] == ["output/failed"]
    await asyncio.sleep(5.1)
    client.app.services.outputs.sweep()
    assert files(client) == []

"""Every output arrives, whatever the node reports, and no job gets files of another job."""

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
    """Yield a client of a worker with its own engine, whose results expire after a second."""
    async with supervised(tmp_path_factory.mktemp("own"), result_ttl_s=1.0) as found:
        yield found


pytestmark = pytest.mark.asyncio(loop_scope="module")


def node(kind: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def with_image(*nodes: dict[str, Any], color: int = 1) -> Workflow:
    """Return the nodes from id 5 on, with an image as node 1 that they use."""
    image_node = {"1": node("EmptyImage", width=32, height=32, batch_size=1, color=color)}
    return image_node | {str(5 + index): item for index, item in enumerate(nodes)}


def report(value: object) -> dict[str, Any]:
    return node("EmbeddedReport", json=json.dumps(value))


async def run(client: Supervised, workflow: Workflow, **more: object) -> dict[str, Any]:
    status, body = await client.post("/generate/sync", {"workflow": workflow, **more})
    assert status == 200, body
    return body


def summary(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(item["node_id"], item["kind"], item["filename"] or item["text"]) for item in body["outputs"]]


def files(client: Supervised) -> list[str]:
    """Return all files in the folders of the engine."""
    engine = client.app.engines.first.config
    roots = [root for root in (engine.output, engine.temp) if root]
    return sorted(str(path.relative_to(root.parent)) for root in roots for path in root.rglob("*") if path.is_file())


async def emptied(client: Supervised) -> None:
    """Wait until the existing results have expired."""
    async with asyncio.timeout(60):
        while files(client):
            await asyncio.sleep(0.1)


async def test_an_unreported_file_is_delivered(client: Supervised) -> None:
    """The file of a node that reports nothing is delivered as an output of that node."""
    body = await run(client, with_image(node("EmbeddedSaveSilently", image=["1", 0], prefix="sub/quiet")))
    [output] = body["outputs"]
    assert (output["node_id"], output["kind"], output["subfolder"], output["width"]) == ("5", "image", "sub", 32)
    assert output["filename"].startswith("quiet")
    assert body["image"] == output["data"]
    assert "problems" not in body


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_path_as_text_is_a_file(client: Supervised, absolute: bool) -> None:
    """A relative or absolute path in a reported text is delivered as a file."""
    saver = node("EmbeddedPathString", image=["1", 0], prefix="named", absolute=absolute)
    body = await run(client, with_image(saver, color=10 + absolute))
    [output] = body["outputs"]
    assert (output["node_id"], output["kind"]) == ("5", "image")
    assert base64.b64decode(output["data"]).startswith(b"\x89PNG")


async def test_a_preview_with_a_saved_file_is_not_an_output(client: Supervised) -> None:
    """A preview is not delivered if another node saved a file, whatever the order of the nodes."""
    workflow = with_image(node("SaveImage", images=["1", 0], filename_prefix="kept"), color=20)
    workflow["2"] = node("PreviewImage", images=["1", 0])
    body = await run(client, workflow)
    assert [(item["node_id"], item["kind"]) for item in body["outputs"]] == [("5", "image")]
    assert body["image"] == body["outputs"][0]["data"]


async def test_a_preview_with_an_unreported_file_is_not_an_output(client: Supervised) -> None:
    """An unreported file counts as saved, so previews are not delivered."""
    quiet = node("EmbeddedSaveSilently", image=["1", 0], prefix="q")
    body = await run(client, with_image(node("PreviewImage", images=["1", 0]), quiet, color=21))
    assert [item["node_id"] for item in body["outputs"]] == ["6"]


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
async def test_values_of_a_node_are_its_result(client: Supervised, reported: object, outputs: list) -> None:
    """Numbers, booleans and objects are outputs only if the node reports nothing else."""
    body = await run(client, with_image(report(reported)))
    assert summary(body) == outputs


async def test_values_are_returned_as_json(client: Supervised) -> None:
    """The response contains the value itself next to its JSON text."""
    body = await run(client, with_image(report({"value": [{"a": [1, None]}]})))
    assert body["outputs"][0]["value"] == {"a": [1, None]}


async def test_a_run_without_outputs_has_a_warning(client: Supervised) -> None:
    """A successful job without outputs has a problem `no_outputs`."""
    body = await run(client, with_image(report({"animated": [True]})))
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
async def test_a_missing_output_hides_no_other(client: Supervised, filename: str, code: str) -> None:
    """A missing file is a problem with node, file and reason. Without other outputs the job fails with 422."""
    bad = report({"images": [{"filename": filename, "subfolder": "", "type": "output"}]})
    body = await run(client, with_image(bad, node("SaveImage", images=["1", 0], filename_prefix="good"), color=30))
    assert [item["node_id"] for item in body["outputs"]] == ["6"]
    [problem] = body["problems"]
    assert (problem["code"], problem["node_id"], problem["output"]) == (code, "5", filename)
    status, alone = await client.post("/generate/sync", {"workflow": with_image(bad)})
    assert (status, alone["error"]["code"], alone["error"]["retryable"]) == (422, "output_missing", False)
    assert alone["error"]["details"][0]["node_id"] == "5"


async def test_a_reported_path_that_does_not_exist_is_a_problem(client: Supervised) -> None:
    """A reported path without a file is a problem, unless the workflow itself contains the text."""
    save_node = node("SaveImage", images=["1", 0], filename_prefix="good")
    body = await run(client, with_image(report({"file_path": ["lost.png"]}), save_node, color=31))
    assert [(item["code"], item["output"]) for item in body["problems"]] == [("output_missing", "lost.png")]


async def test_models_are_delivered_on_demand(client: Supervised) -> None:
    """A saved model is delivered only with `deliver_models`, and otherwise is a problem with a suggestion."""
    workflow = with_image(node("EmbeddedSaveModel", prefix="mine"))
    body = await run(client, workflow)
    assert body["outputs"] == []
    assert [item["code"] for item in body["problems"]] == ["model_not_delivered"]
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
    """A repeated request gets its files again: only the save node runs, once for each job."""
    workflow = with_image(saver, color=abs(hash(saver["class_type"])) % 1000)
    workflow["1"] = node("EmptyImage", width=32, height=32, batch_size=1, color=len(saver["class_type"]))
    workflow["3"] = node("ImageInvert", image=["1", 0])
    next(iter(workflow["5"]["inputs"]))
    workflow["5"]["inputs"] |= {name: ["3", 0] for name in ("image", "images") if name in workflow["5"]["inputs"]}
    await emptied(client)
    before, responses = len(await runs(client.engine_says)), []
    for _ in range(3):
        responses.append(summary(await run(client, workflow)))
        await emptied(client)
    assert all(len(outputs) == 1 for outputs in responses), responses
    assert {outputs[0][:2] for outputs in responses} == {("5", "image")}
    reruns = [run for run in (await runs(client.engine_says))[before:] if "3" not in cached(run)]
    assert len(reruns) == 1
    assert len((await runs(client.engine_says))[before:]) <= 5


def cached(run: dict[str, Any]) -> list[str]:
    found = [data["nodes"] for name, data in run["status"]["messages"] if name == "execution_cached"]
    return [node for nodes in found for node in nodes]


async def test_a_batch_with_a_missing_file_is_written_again(client: Supervised) -> None:
    """If one file of a batch is missing, the save node writes all files again, and no other node runs."""
    workflow = with_image(node("SaveImage", images=["1", 0], filename_prefix="batch"), color=55)
    workflow["1"]["inputs"]["batch_size"] = 3
    assert len((await run(client, workflow))["outputs"]) == 3
    engine = client.app.engines.first.config
    sorted(engine.output.glob("batch*"))[1].unlink()
    before = len(await runs(client.engine_says))
    body = await run(client, workflow)
    assert len(body["outputs"]) == len({item["filename"] for item in body["outputs"]}) == 3
    assert all("1" in cached(run) for run in (await runs(client.engine_says))[before:])


async def test_a_node_with_dependents_is_rerun_as_a_copy(client: Supervised) -> None:
    """A save node with dependents runs again as a copy, so that the dependents stay in the cache."""
    workflow = with_image(node("SaveImage", images=["1", 0], filename_prefix="middle"), color=77)
    workflow["6"] = node("ImageInvert", image=["5", 0])
    workflow["7"] = node("EmbeddedReport", json='{"text": ["end"]}')
    workflow["8"] = node("PreviewAny", source=["6", 0])
    first = await run(client, workflow)
    await emptied(client)
    before = len(await runs(client.engine_says))
    second = await run(client, workflow)
    assert [item[:2] for item in summary(second)] == [item[:2] for item in summary(first)]
    assert all({"1", "6"} <= set(cached(run)) for run in (await runs(client.engine_says))[before:])


async def test_all_files_of_a_job_are_removed_with_its_result(client: Supervised) -> None:
    """Previews and unreported files are removed when the result expires."""
    quiet = node("EmbeddedSaveSilently", image=["1", 0], prefix="bye")
    saved = node("SaveImage", images=["1", 0], filename_prefix="bye")
    await run(client, with_image(quiet, saved, node("PreviewImage", images=["1", 0]), color=88))
    assert len(files(client)) >= 3
    await emptied(client)


async def test_a_late_file_of_the_same_job_is_delivered(client: Supervised) -> None:
    """A file that a thread writes while a later node runs is delivered."""
    workflow = with_image(node("EmbeddedLateFile", image=["1", 0], prefix="soon", seconds=0.3), color=95)
    workflow["8"] = node("EmbeddedSleep", image=["1", 0], seconds=1.0, steps=1)
    workflow["9"] = node("SaveImage", images=["8", 0], filename_prefix="end")
    body = await run(client, workflow)
    assert [item["node_id"] for item in body["outputs"]] == ["5", "9"]


async def test_a_late_file_of_another_job_is_removed(client: Supervised) -> None:
    """A file written after its prompt, while another job runs, is delivered to neither job and removed."""
    await emptied(client)
    late = node("EmbeddedLateFile", image=["1", 0], prefix="late", seconds=0.5)
    other = with_image(node("EmbeddedSleep", image=["1", 0], seconds=1.5, steps=3), color=91)
    other["9"] = node("EmbeddedSaveSilently", image=["5", 0], prefix="mine")
    first, second = await asyncio.gather(run(client, with_image(late, color=90)), run(client, other))
    assert first["outputs"] == []
    assert [item["code"] for item in first["problems"]] == ["no_outputs"]
    assert [item["filename"][:4] for item in second["outputs"]] == ["mine"]
    await asyncio.sleep(5.1)
    client.app.services.outputs.sweep()
    assert not [name for name in files(client) if "late" in name]


async def test_files_of_queued_jobs_are_attributed(tmp_path: Path) -> None:
    """Each of twenty quick jobs in the engine's queue gets its own unreported file."""
    sizes = range(8, 28)

    def quick(size: int) -> Workflow:
        image_node = {"1": node("EmptyImage", width=size, height=size, batch_size=1, color=size)}
        return image_node | {"5": node("EmbeddedSaveSilently", image=["1", 0], prefix=f"s{size}")}

    async with supervised(tmp_path) as fresh:
        responses = await asyncio.gather(*(run(fresh, quick(size)) for size in sizes))
    found = [(body["outputs"][0]["width"], body["outputs"][0]["filename"].split("_")[0]) for body in responses]
    assert found == [(size, f"s{size}") for size in sizes]


@pytest.mark.parametrize("prefix", ["same/", ""])
async def test_an_overwritten_file_is_kept(client: Supervised, prefix: str) -> None:
    """An output is copied if ComfyUI may overwrite its file."""

    def saved(color: int) -> Workflow:
        return with_image(node("SaveImage", images=["1", 0], filename_prefix=prefix), color=color)

    first = await run(client, saved(1000), id=f"overwritten{prefix[:4]}", output_format="url")
    second = await run(client, saved(2000))
    assert first["outputs"][0]["filename"] == second["outputs"][0]["filename"]
    async with client.http.get(first["outputs"][0]["url"]) as response:
        assert hashlib.sha256(await response.read()).hexdigest() == first["outputs"][0]["sha256"]


@pytest.mark.parametrize("letter", ["a", "ä", "画"])
async def test_the_longest_name_is_delivered(client: Supervised, letter: str) -> None:
    """A file with a name of 255 bytes is delivered."""
    prefix = letter * ((255 - len("_00001_.png")) // len(letter.encode()))
    body = await run(client, with_image(node("SaveImage", images=["1", 0], filename_prefix=prefix), color=70))
    assert [item["filename"] for item in body["outputs"]] == [f"{prefix}_00001_.png"]
    assert base64.b64decode(body["image"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("dialect", ["native", "runpod", "vast"])
async def test_problems_are_the_same_in_every_dialect(client: Supervised, dialect: str) -> None:
    """Each dialect returns the same `problems`, together with the other outputs."""
    bad = report({"images": [{"filename": "gone.png", "subfolder": "", "type": "output"}]})
    workflow = with_image(bad, node("SaveImage", images=["1", 0], filename_prefix="good"), color=60)
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
    assert body.get("errors") == ([problem["message"]] if dialect == "runpod" else None)  # as in worker-comfyui


async def test_a_job_of_runpod_without_any_output_has_failed(client: Supervised) -> None:
    """If nothing could be delivered, `error` is worker-comfyui's message, and `details` name each output."""
    bad = report({"images": [{"filename": "gone-too.png", "subfolder": "", "type": "output"}]})
    status, body = await client.post("/generate/sync", {"input": {"workflow": with_image(bad, color=63)}})
    assert (status, body["error"], body["error_info"]["code"]) == (422, "Job processing failed", "output_missing")
    assert any("gone-too.png" in detail for detail in body["details"])


async def test_unreported_files_of_a_comfyui_given_by_url(engine: EngineHandle, tmp_path: Path) -> None:
    """A node that reports nothing is a problem, unless WORKER_COMFYUI_OUTPUT names the output folder."""
    quiet = {"workflow": with_image(node("EmbeddedSaveSilently", image=["1", 0], prefix="url"), color=61)}
    async with worker(engine, tmp_path / "blind", comfyui_output=None, comfyui_input=None) as blind:
        _, body = await blind.post("/generate/sync", quiet)
    assert body["outputs"] == []
    assert [(item["code"], item["node_id"]) for item in body["problems"]] == [("output_not_seen", "5")]
    quiet["workflow"]["1"]["inputs"]["color"] = 62
    async with worker(engine, tmp_path / "seeing") as seeing:
        _, body = await seeing.post("/generate/sync", quiet)
    assert [item["filename"].split("_")[0] for item in body["outputs"]] == ["url"]


async def test_files_of_a_failed_job_are_removed(client: Supervised) -> None:
    """Reported and unreported files of a failed job are removed."""
    await emptied(client)
    workflow = with_image(node("SaveImage", images=["1", 0], filename_prefix="failed"), color=63)
    workflow["6"] = node("EmbeddedSleep", image=["5", 0], seconds=0.2, steps=0)
    workflow["7"] = node("EmbeddedFail", image=["6", 0], message="on purpose")
    workflow["8"] = node("SaveImage", images=["7", 0], filename_prefix="never")
    status, _ = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 422
    assert [name.partition("_")[0] for name in files(client)] == ["output/failed"]
    await asyncio.sleep(5.1)
    client.app.services.outputs.sweep()
    assert files(client) == []

"""Routes of templates, and jobs made from templates."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from pydantic import SecretStr

from tests import small
from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle
from worker.dialects.modifiers import fill_modifier
from worker.workflow.templates.library import read_library
from worker.workflow.templates.template import ParameterKind, Template

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

LIBRARY = read_library("shipped")


async def made(client: Client, **request: Any) -> dict[str, Any]:
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    return body


def size(data: str) -> tuple[int, int]:
    """Return the pixel size of an image."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as found:
        return found.size


async def test_the_list_has_every_template(client: Client) -> None:
    """The list has name, purpose, parameters and packs of each template, in order."""
    _, body = await client.get("/templates")
    assert [entry["name"] for entry in body["templates"]] == sorted(LIBRARY)
    assert all(entry["about"] and entry["title"] for entry in body["templates"])
    (instantid,) = [entry for entry in body["templates"] if entry["name"] == "instantid"]
    assert instantid["packs"] == ["ComfyUI_InstantID"]


@pytest.mark.parametrize("template", LIBRARY.values(), ids=lambda template: template.name)
async def test_a_template_shows_its_schema(client: Client, template: Template) -> None:
    """A template has a schema with descriptions, and its model files by folder."""
    status, body = await client.get(f"/templates/{template.name}")
    assert (status, body["name"], body["schema"]["type"]) == (200, template.name, "object")
    properties = body["schema"]["properties"]
    assert list(properties) == body["parameters"]
    assert all(properties[name]["description"] for name in properties)
    assert all({"file", "folder"} <= set(model) for model in body["models"])


async def test_a_template_that_is_not_there_names_the_nearest(client: Client) -> None:
    """An unknown template is 404 with the nearest name."""
    status, body = await client.get("/templates/flux-schnel")
    assert (status, body["error"]["code"]) == (404, "unknown_template")
    assert body["error"]["details"][0]["suggestion"] == "Did you mean 'flux-schnell'?"


async def test_strangers_see_no_templates(engine: EngineHandle, tmp_path: Path) -> None:
    """With tokens configured, the routes need one."""
    async with worker(engine, tmp_path, tokens=SecretStr("me=secret-secret-secret")) as client:
        assert (await client.get("/templates"))[0] == 401
        assert (await client.get("/templates/sd15"))[0] == 401
        assert (await client.get("/templates", "secret-secret-secret"))[0] == 200


@pytest.mark.parametrize("template", LIBRARY.values(), ids=lambda template: template.name)
async def test_every_template_runs(client: Client, template: Template) -> None:
    """Every template runs with its defaults in a small size, with outputs of its output nodes and the drawn seed."""
    body = await made(client, template=template.name, params=small.params(template))
    assert {output["node_id"] for output in body["outputs"]} == set(template.outputs)
    assert all(output["data"] for output in body["outputs"])
    used = body["metadata"]["params"]
    assert body["metadata"]["template"] == template.name
    assert set(used) == {parameter.name for parameter in template.parameters if not parameter.type.is_file}


async def test_the_answers_parameters_make_the_same_job(client: Client) -> None:
    """The parameters of a response with its seed give the same image, and another one without the seed."""
    first = await made(client, template="smoke-resize", params={"width": 40, "height": 30})
    assert size(first["image"]) == (40, 30)
    drawn = await made(client, template="sd15", params={"width": 64, "height": 64, "steps": 1})
    again = await made(client, template="sd15", params=drawn["metadata"]["params"])
    other = await made(client, template="sd15", params={"width": 64, "height": 64, "steps": 1, "seed": -1})
    assert again["metadata"]["params"] == drawn["metadata"]["params"]
    assert again["outputs"][0]["sha256"] == drawn["outputs"][0]["sha256"]
    assert other["metadata"]["params"]["seed"] != drawn["metadata"]["params"]["seed"]


@pytest.mark.parametrize("way", ["base64", "data uri", "inputs", "part"])
async def test_a_picture_is_given_in_any_way(client: Client, way: str) -> None:
    """An image inline, by the name of a file, or as a part gives the same result."""
    data = base64.b64encode(small.encoded("PNG")).decode()
    request: dict[str, Any] = {"template": "resize", "params": {"width": 32, "height": 16}}
    given = {"base64": data, "data uri": f"data:image/png;base64,{data}", "inputs": "mine", "part": "mine.png"}
    request["params"]["image"] = given[way]
    if way == "inputs":
        request["inputs"] = {"mine": data}
    if way == "part":
        form = aiohttp.FormData()
        form.add_field("request", aiohttp.JsonPayload(request), content_type="application/json")
        form.add_field("mine.png", small.encoded("PNG"), filename="mine.png")
        async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
            body = await answer.json()
            assert answer.status == 200, body
    else:
        body = await made(client, **request)
    assert size(body["image"]) == (32, 16)


async def test_lists_become_nodes_that_run(client: Client) -> None:
    """Each LoRA of a list is a node in the events of the job."""
    template = LIBRARY["flux-dev-lora"]
    loras = [{"name": "a.safetensors"}, {"name": "b.safetensors", "strength": 0.5}]
    request = {"template": "flux-dev-lora", "params": {**small.params(template), "loras": loras}}
    async with client.http.post(client.app.url + "/generate/stream", json=request) as stream:
        text = await stream.text()
    assert '"node_id":"loras-1"' in text
    assert '"node_id":"loras-2"' in text
    assert '"status":"success"' in text


async def test_an_optional_picture_may_be_left_out_or_given(client: Client) -> None:
    """An optional image is used if it is sent, and leaves no node in the prompt if not."""
    params = small.params(LIBRARY["qwen-image-edit"])
    await made(client, template="qwen-image-edit", params=params)
    await made(client, template="qwen-image-edit", params={**params, "image2": small.file(ParameterKind.IMAGE)})


async def test_all_bad_parameters_are_told_at_once(client: Client) -> None:
    """The error lists every invalid parameter with its problem and range."""
    params = {"width": 100_000, "steps": 0, "promt": "x", "seed": "random"}
    status, body = await client.post("/generate/sync", {"template": "flux-schnell", "params": params})
    assert (status, body["error"]["code"], body["error"]["fault"]) == (422, "invalid_params", "client")
    told = {detail["input"]: (detail["message"], detail["suggestion"]) for detail in body["error"]["details"]}
    assert told == {
        "width": (
            "parameter 'width' is 100000, more than 2048",
            "Use an integer from 256 to 2048, a multiple of 16.",
        ),
        "steps": ("parameter 'steps' is 0, less than 1", "Use an integer from 1 to 50."),
        "promt": ("parameter 'promt' is no parameter of template 'flux-schnell'", "Did you mean 'prompt'?"),
        "seed": (
            "parameter 'seed' must be an integer, not 'random'",
            "Use an integer from 0 to 9007199254740991.",
        ),
    }


@pytest.mark.parametrize("template", LIBRARY.values(), ids=lambda template: template.name)
async def test_every_range_is_held(client: Client, template: Template) -> None:
    """Values beyond each limit and of the wrong type are rejected with the name and the limit."""
    beyond: dict[str, Any] = {}
    for parameter in template.parameters:
        if parameter.type.is_number:
            beyond[parameter.name] = "much" if parameter.maximum is None else parameter.maximum + 1
        else:
            beyond[parameter.name] = 3.5
    status, body = await client.post("/generate/sync", {"template": template.name, "params": beyond})
    assert (status, body["error"]["code"]) == (422, "invalid_params")
    told = {detail["input"]: detail["suggestion"] for detail in body["error"]["details"]}
    assert set(told) == set(template.by_name)
    for parameter in template.parameters:
        if parameter.maximum is not None:
            assert f"{parameter.maximum:.16g}" in told[parameter.name]


@pytest.mark.parametrize(
    ("modifier", "modifications"),
    [
        ("Text2Image", {"prompt": "a cat", "steps": 1, "width": 64, "height": 64, "cfg_scale": 7.0, "strange": 1}),
        (
            "Image2Image",
            {"input_image": small.file(ParameterKind.IMAGE), "steps": 1, "seed": -1, "sampler_name": "dpmpp_2m"},
        ),
        ("RawWorkflow", {"prompt": "a cat", "width": 64, "height": 64, "steps": 1, "seed": 7}),
        ("smoke-resize", {"width": 64, "height": 64}),
    ],
)
async def test_stock_modifiers_are_templates(client: Client, modifier: str, modifications: dict[str, Any]) -> None:
    """Modifiers of the stock template work with its parameter names, and templates by their own name."""
    request = {"modifier": modifier, "modifications": modifications, "return_outputs_as_base64": True}
    status, body = await client.post("/generate/sync", {"input": request})
    assert (status, body["status"]) == (200, "completed"), body
    assert size(body["output"][0]["data"])[0] in {64, 512}


async def test_a_stock_modifier_keeps_the_stock_defaults() -> None:
    """A stock modifier has the names and defaults of the stock template, and ignores unknown modifications."""
    given = {"ckpt_name": "mine.safetensors", "cfg_scale": 4, "strange": 1}
    values = fill_modifier(LIBRARY, "Text2Image", given).values
    assert (values["checkpoint"], values["cfg"]) == ("mine.safetensors", 4)
    assert {name: values[name] for name in ("prompt", "sampler", "scheduler", "denoise", "steps", "width")} == {
        **{"prompt": "", "sampler": "dpmpp_2m", "scheduler": "normal", "denoise": 0.87, "steps": 20, "width": 1024},
    }
    assert LIBRARY["sd15"].by_name["denoise"].default == 1.0
    assert fill_modifier(LIBRARY, "RawWorkflow", {"prompt": "a cat", "width": 512}).values["width"] == 512


async def test_a_stock_modifier_is_held_to_its_template(client: Client) -> None:
    """A stock modifier rejects a value out of range and a missing image."""
    for modifier, modifications, told in (("Text2Image", {"steps": 0}, "steps"), ("Image2Image", {}, "image")):
        request = {"input": {"modifier": modifier, "modifications": modifications}}
        status, body = await client.post("/generate/sync", request)
        assert (status, body["error"]["code"], body["error"]["details"][0]["input"]) == (422, "invalid_params", told)


async def test_a_raw_workflow_stays_one(client: Client) -> None:
    """`RawWorkflow` takes the workflow beside it or in its modifications. Other modifiers exclude one."""
    raw = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 5}}}
    raw["2"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "raw"}}
    for request in ({"workflow_json": raw}, {"modifications": {"workflow_json": raw}}):
        status, _ = await client.post("/generate/sync", {"input": {"modifier": "RawWorkflow", **request}})
        assert status == 200
    status, body = await client.post("/generate/sync", {"input": {"modifier": "Text2Image", "workflow_json": raw}})
    assert (status, body["error"]["code"]) == (400, "invalid_field")


async def test_own_templates_stand_beside_the_shipped_ones(engine: EngineHandle, tmp_path: Path) -> None:
    """Templates of a folder in WORKER_TEMPLATES are added to the shipped ones."""
    folder = tmp_path / "mine"
    folder.mkdir()
    shipped = Path(__file__).parents[2] / "workflows" / "smoke-resize.json"
    (folder / "own.json").write_text(shipped.read_text())
    (folder / "own.toml").write_text(
        'title = "Own"\nabout = "Mine."\noutputs = ["Save"]\n'
        '[parameters.wide]\ntype = "integer"\nsets = ["Scale.width", { to = "Scale.height", times = 0.5 }]\n'
    )
    async with worker(engine, tmp_path / "state", templates=f"shipped, {folder}") as client:
        body = await made(client, template="own", params={"wide": 50})
        assert size(body["image"]) == (50, 25)
        _, listed = await client.get("/templates")
        assert {"own", "sdxl"} <= {entry["name"] for entry in listed["templates"]}

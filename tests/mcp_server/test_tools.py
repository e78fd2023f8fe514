"""The tools, as a host sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import ROOT
from tests.conftest import Client as Worker
from tests.conftest import shared_client as client  # noqa: F401 - a fixture
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.mcp_server.hosts import direct_host, kinds, stdio_command, structured, text
from tests.workflows import drawn, failing, picture
from worker.mcp_server.server import INSTRUCTIONS
from worker.mcp_server.tools import TOOLS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_tools_over_stdio(client: Worker) -> None:  # noqa: F811
    """A host over standard input lists the tools and the templates, and runs one with progress."""
    from mcp import Client

    progress: list[tuple[float, str | None]] = []

    async def on_progress(value: float, total: float | None, message: str | None) -> None:
        assert total == 1.0
        progress.append((value, message))

    async with Client(stdio_command("--url", client.app.url)) as host:
        tools = (await host.list_tools()).tools
        listing = structured(await host.call_tool("list_templates", {}))
        described = structured(await host.call_tool("describe_template", {"template": "flux-schnell"}))
        result = await host.call_tool("generate", described["example"], progress_callback=on_progress)
    assert [tool.name for tool in tools] == list(TOOLS)
    assert "smoke-resize" in {template["name"] for template in listing["templates"]}
    assert described["params_schema"]["properties"]["width"]["default"] == 1024
    assert "vae/ae.safetensors" in described["models"]
    assert (described["ready"], described["problems"]) == (True, [])
    report = structured(result)
    assert (report["state"], kinds(result)) == ("completed", ["text", "image"])
    assert json.loads(text(result)) == report
    values = [value for value, _ in progress]
    assert values == sorted(set(values))
    assert values[0] > 0
    assert values[-1] < 1
    assert any("Sampler" in (message or "") for _, message in progress)


async def test_every_tool_describes_itself(client: Worker) -> None:  # noqa: F811
    """Each argument has a description, each tool annotations and an output schema, and the server instructions."""
    async with direct_host(client.app.url) as host:
        tools = {tool.name: tool for tool in (await host.list_tools()).tools}
        assert host.instructions == INSTRUCTIONS
    for tool in tools.values():
        assert tool.description
        assert tool.output_schema
        assert all(field["description"] for field in tool.input_schema["properties"].values())
        assert tool.input_schema["additionalProperties"] is False
    hints = {name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint) for name, tool in tools.items()}
    assert hints["list_templates"] == hints["describe_template"] == hints["status"] == (True, None)
    assert (hints["generate"], hints["cancel"]) == ((False, False), (False, True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"template": "flux-schnel"}, ["unknown_template", "Did you mean 'flux-schnell'?", "list_templates"]),
        (
            {"template": "flux-schnell", "params": {"width": 3, "hight": 9}},
            ["invalid_params", "'width' is 3", "256 to 2048", "Did you mean 'height'?", "describe_template"],
        ),
        ({"template": "resize"}, ["invalid_params", "image"]),
        ({}, ["invalid_arguments", "`template`", "`workflow`"]),
        ({"template": "sd15", "workflow": picture()}, ["invalid_arguments", "either"]),
        ({"workflow": picture(), "params": {"a": 1}}, ["invalid_arguments", "`params`"]),
        ({"template": 5, "wait": "perhaps"}, ["input template", "input wait"]),
        ({"template": "sd15", "prompt": "x"}, ["input prompt", "is not an argument", "params"]),
        ({"template": "sd15", "params": "x"}, ["input params"]),
        ({"template": "sd15", "params": {"steps": "many"}}, ["invalid_params", "steps"]),
        ({"template": "sd15", "timeout_s": -1}, ["input timeout_s"]),
        (
            {"workflow": {"1": {"class_type": "SaveImag", "inputs": {}}}},
            ["invalid_workflow", "node 1 (SaveImag)", "Did you mean 'SaveImage'?"],
        ),
        ({"workflow": {"a": "b"}}, ["invalid_workflow"]),
        ({"workflow": failing()}, ["node_failed", "Trouble", "asked to"]),
        ({"template": "resize", "params": {"image": "file:a.png"}}, ["file_not_allowed", "--files"]),
        (
            {"template": "resize", "params": {"image": "comfy://jobs/unknown/outputs/0"}},
            ["output_not_kept"],
        ),
        ({"template": "🚀" * 3}, ["unknown_template"]),
        ({"template": "sd15", "params": {"prompt": "\ud83d"}}, ["invalid_arguments", "JSON"]),
        ({"template": "sd15", "params": {"seed": 10**30}}, ["invalid_arguments", "JSON"]),
    ],
)
async def test_an_invalid_call_says_how_to_correct_it(
    client: Worker,  # noqa: F811
    arguments: dict[str, Any],
    words: list[str],
) -> None:
    """A call that cannot succeed is an error with its code, the input and a valid value."""
    async with direct_host(client.app.url) as host:
        result = await host.call_tool("generate", arguments)
    assert result.is_error
    assert result.structured_content is None
    assert [word for word in words if word not in text(result)] == [], text(result)


async def test_a_template_that_cannot_run_is_not_ready(engine: EngineHandle, tmp_path: Path) -> None:
    """The description of a template says what the worker lacks, and its example has a value for each required one."""
    workflow = picture()
    workflow["1"]["class_type"] = "ImageOfTomorrow"
    workflow["2"]["_meta"] = {"title": "Save"}
    (tmp_path / "tomorrow.json").write_text(json.dumps(workflow))
    (tmp_path / "tomorrow.toml").write_text('title = "Tomorrow"\nabout = "Cannot run."\noutputs = ["Save"]\n')
    given = {"templates": f"shipped, {tmp_path}"}
    async with worker(engine, tmp_path / "state", **given) as lacking, direct_host(lacking.app.url) as host:
        tomorrow = structured(await host.call_tool("describe_template", {"template": "tomorrow"}))
        video = structured(await host.call_tool("describe_template", {"template": "seedvr2-upscale-video"}))
    assert tomorrow["ready"] is False
    assert "ImageOfTomorrow" in tomorrow["problems"][0]
    assert video["example"]["params"] == {"video": "https://example.com/clip.mp4"}


async def test_objects_in_texts_are_accepted(client: Worker) -> None:  # noqa: F811
    """A workflow and parameters can be JSON in a text, and a workflow can have the editor's format."""
    async with direct_host(client.app.url) as host:
        prompt = await host.call_tool("generate", {"workflow": json.dumps(picture())})
        params = await host.call_tool("generate", {"template": "smoke-resize", "params": '{"width": 96}'})
        editor = await host.call_tool("generate", {"workflow": drawn()})
    assert structured(params)["params"]["width"] == 96
    assert kinds(prompt) == kinds(editor) == ["text", "image"]


async def test_an_output_is_the_input_of_the_next_job(client: Worker) -> None:  # noqa: F811
    """The URI of an output works as a parameter, as an input file, and inside a workflow."""
    chained = picture()
    chained["1"] = {"class_type": "LoadImage", "inputs": {"image": "step.png"}}
    async with direct_host(client.app.url) as host:
        [first] = structured(await host.call_tool("generate", {"workflow": picture(width=80)}))["outputs"]
        by_param = await host.call_tool(
            "generate", {"template": "resize", "params": {"image": first["uri"], "width": 64, "height": 64}}
        )
        by_name = await host.call_tool("generate", {"workflow": chained, "inputs": {"step.png": first["uri"]}})
        chained["1"]["inputs"]["image"] = first["uri"]
        inside = await host.call_tool("generate", {"workflow": chained})
    assert structured(by_param)["outputs"][0]["width"] == 64
    assert structured(by_name)["outputs"][0]["width"] == structured(inside)["outputs"][0]["width"] == 80


async def test_the_page_lists_every_tool() -> None:
    """docs/mcp.md has each tool with its arguments, in the order in which an agent sees them."""
    _, _, section = (ROOT / "docs/mcp.md").read_text("utf-8").partition("## Tools\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    assert [name for name, _ in rows] == list(TOOLS)
    for name, arguments in rows:
        assert set(re.findall(r"`(\w+)`", arguments)) == set(TOOLS[name].arguments.model_fields)


async def test_an_unknown_tool_is_a_protocol_error(client: Worker) -> None:  # noqa: F811
    """A call of a tool that does not exist names the tools."""
    from mcp import MCPError

    async with direct_host(client.app.url) as host:
        with pytest.raises(MCPError, match=r"there is no tool 'draw'\. Tools: list_templates"):
            await host.call_tool("draw", {})


@pytest.mark.parametrize("job_id", ["..", "../templates", "a/b", "ü", "", "a" * 200, 7, None])
async def test_an_id_never_names_another_route(client: Worker, job_id: object) -> None:  # noqa: F811
    """An id that is none is rejected before a request is sent."""
    async with direct_host(client.app.url) as host:
        for tool in ("status", "cancel"):
            result = await host.call_tool(tool, {"job_id": job_id})
            assert result.is_error
            assert "input job_id" in text(result)

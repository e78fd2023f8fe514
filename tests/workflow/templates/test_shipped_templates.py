"""The shipped templates, checked against the catalog of the image with all node packs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests import small
from tests.cli.terminal import ROOT, WORKFLOWS
from worker.load.workload import FLOOR, workload
from worker.node_packs.pins import read_pins
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import read_library
from worker.workflow.templates.template import Template
from worker.workflow.validation.validate import validate

LIBRARY = read_library("shipped")
CATALOG = Catalog.bundled()
MODEL_FREE = {"resize", "smoke-resize"}

each = pytest.mark.parametrize("template", LIBRARY.values(), ids=lambda template: template.name)


class TemplateFiles:
    """The model files of the template and the files of the request. No other file exists."""

    def __init__(self, template: Template) -> None:
        self._models = {(model.folder, model.file) for model in template.models}

    def exists(self, folder: str, name: str) -> bool:
        return folder == "input" or (folder, name) in self._models


def prompts(template: Template) -> Iterator[Prompt]:
    """Return prompts of a template: with its defaults, with small sizes, and with every optional file."""
    files = {parameter.name: small.file(parameter.type) for parameter in template.parameters if parameter.type.is_file}
    for params in (files, small.params(template), small.params(template) | files):
        yield fill(template, params, lambda below: 0).prompt


def test_every_workflow_has_a_toml_file() -> None:
    """Every JSON file has a TOML file, and the library has all promised templates."""
    assert {path.stem for path in WORKFLOWS.glob("*.json")} == set(LIBRARY)
    assert {
        *("sdxl", "flux-schnell", "flux-dev", "flux-dev-lora", "instantid", "wan22-t2v", "wan22-i2v"),
        *("seedvr2-upscale", "z-image-turbo", "z-image-turbo-res4lyf", "qwen-image-2512", "qwen-image-edit"),
        *("flux-controlaltai", "upscale", "resize", "smoke-resize", "sd15-res4lyf"),
    } <= set(LIBRARY)


@each
def test_each_template_is_valid_with_its_models(template: Template) -> None:
    """A template names all model files that its workflow needs."""
    for prompt in prompts(template):
        verdict = validate(prompt, CATALOG, TemplateFiles(template))
        assert (verdict.status, verdict.error, verdict.node_errors) == (200, None, {})


@each
def test_each_listed_model_is_used(template: Template) -> None:
    """Each model is in the workflow, or its node loads it without naming it (InsightFace)."""
    texts = {value for node in template.prompt.values() for value in node["inputs"].values() if isinstance(value, str)}
    assert {model.file for model in template.models if model.folder != "insightface"} <= texts
    assert bool(template.models) != (template.name in MODEL_FREE)


@each
def test_packs_are_those_of_the_nodes(template: Template) -> None:
    """A template names exactly the packs of its nodes, and `comfyui_nodes.txt` pins each."""
    modules = {CATALOG[node["class_type"]].pack for node in template.prompt.values()}
    used = {module.removeprefix("custom_nodes.") for module in modules if module.startswith("custom_nodes.")}
    pinned = {pack.name for pack in read_pins((ROOT / "comfyui_nodes.txt").read_text("utf-8")).packs}
    assert used == set(template.packs) <= pinned


@each
def test_outputs_are_all_save_nodes(template: Template) -> None:
    """The outputs are exactly the output nodes of the workflow."""
    saving = {node_id for node_id, node in template.prompt.items() if node["class_type"] in {"SaveImage", "SaveVideo"}}
    assert saving == set(template.outputs)


@each
def test_parameters_match_their_inputs(template: Template) -> None:
    """ComfyUI accepts every choice and every limit of a parameter."""
    for parameter in template.parameters:
        for target in parameter.sets:
            spec = CATALOG[template.prompt[target.node]["class_type"]].by_name.get(target.input)
            if spec is None or target.computes:
                continue
            assert not spec.options or set(parameter.choices) <= set(spec.options), parameter.name
            if spec.min is not None and parameter.minimum is not None:
                assert parameter.minimum >= spec.min, parameter.name
            if spec.max is not None and parameter.maximum is not None:
                assert parameter.maximum <= spec.max, parameter.name


def test_workflows_md_is_up_to_date() -> None:
    """`docs/workflows.md` is the output of `make docs`."""
    output = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_workflows.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert output == (ROOT / "docs" / "workflows.md").read_text("utf-8"), "run `make docs`"


@pytest.mark.parametrize("name", ["sdxl", "flux-schnell", "z-image-turbo-res4lyf", "qwen-image-2512", "wan22-t2v"])
def test_more_steps_increase_the_workload(name: str) -> None:
    """The workload depends on the parameters of the request."""
    costs = [workload(fill(LIBRARY[name], {"steps": steps}, lambda below: 0).prompt, CATALOG) for steps in (4, 8, 16)]
    assert FLOOR < costs[0] < costs[1] < costs[2]


def test_a_switch_in_the_workflow_changes_the_workload() -> None:
    """The workload only counts the branch that a switch selects."""
    costs = [workload(fill(LIBRARY["wan22-t2v"], {"fast": fast}, lambda below: 0).prompt) for fast in (False, True)]
    assert 5 < costs[0] / costs[1] < 12  # 20 steps with guidance, and 4 without

"""Templates of the library with the recorded server's catalog, and scaffolded templates for the editor's prompts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests import small
from tests.conformance.test_verdicts import read, recorded_catalog
from tests.workflow.templates.test_shipped_templates import LIBRARY, TemplateFiles, prompts
from worker.workflow.prompt import parse_prompt
from worker.workflow.templates.fill import fill
from worker.workflow.templates.reader import read_template
from worker.workflow.templates.template import Template
from worker.workflow.templates.template_scaffold import scaffold_template
from worker.workflow.validation.validate import validate

pytestmark = pytest.mark.conformance


@pytest.mark.parametrize("template", LIBRARY.values(), ids=lambda template: template.name)
def test_templates_are_valid_for_the_recorded_server(template: Template) -> None:
    """Every template gives a valid prompt, with only the files that it lists and two items in each list."""
    lists = {
        parameter.name: [{"name": "a.safetensors"}] * 2
        for parameter in template.parameters
        if parameter.chain is not None
    }
    catalog, files = recorded_catalog(), _WithLoras(template)
    params = small.params(template) | lists
    for prompt in (*prompts(template), fill(template, params, lambda below: 0).prompt):
        verdict = validate(prompt, catalog, files)
        assert (verdict.status, verdict.error, verdict.node_errors) == (200, None, {})


class _WithLoras(TemplateFiles):
    def exists(self, folder: str, name: str) -> bool:
        return folder == "loras" or super().exists(folder, name)


def test_scaffolded_templates_keep_the_prompt() -> None:
    """A scaffolded template is valid, and without parameters it changes only files and seeds of the prompt."""
    refused: dict[str, Any] = {}
    names = read("verdicts-0.33.0.json")["ui_workflows"]
    for name in names:
        workflow = read(f"ui-workflows/api/{name}.json")
        if not workflow:
            continue
        prompt = parse_prompt(workflow)
        template = read_template(name, workflow, tomllib.loads(scaffold_template(name, prompt, recorded_catalog())))
        files = {one.name: "x.png" for one in template.parameters if one.required}
        filled = fill(template, files, lambda below: 0).prompt
        changed = {node_id for node_id in prompt if filled[node_id] != prompt[node_id]}
        allowed = {
            target.node for one in template.parameters if one.type.is_file or one.type == "seed" for target in one.sets
        }
        if not template.parameters or not template.outputs or not changed <= allowed:
            refused[name] = changed - allowed
    assert len(names) == 214
    assert refused == {}

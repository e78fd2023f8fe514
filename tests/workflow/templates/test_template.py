"""Templates: their TOML files, and filling in values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import ParamsError
from worker.workflow.prompt import Prompt
from worker.workflow.templates.fill import FilledTemplate, fill
from worker.workflow.templates.reader import read_template
from worker.workflow.templates.schema import params_schema
from worker.workflow.templates.template import ParameterKind, Template, TemplateError

WORKFLOW: Prompt = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "m.safetensors"}, "_meta": {"title": "Model"}},
    "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "c.safetensors"}, "_meta": {"title": "Clip"}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": "a cat"}, "_meta": {"title": "Prompt"}},
    "4": {
        "class_type": "KSampler",
        "inputs": {"model": ["1", 0], "positive": ["3", 0], "seed": 1, "steps": 20, "half": 10, "cfg": 5.5},
        "_meta": {"title": "Sampler"},
    },
    "5": {"class_type": "LoadImage", "inputs": {"image": "mine.png"}, "_meta": {"title": "Photo"}},
    "6": {"class_type": "Blend", "inputs": {"image1": ["4", 0], "image2": ["5", 0]}, "_meta": {"title": "Blend"}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}, "_meta": {"title": "Save"}},
}
LORAS = {
    "type": "list",
    "items_max": 2,
    "fields": {
        "name": {"type": "string"},
        "strength": {"type": "number", "default": 1.0, "minimum": -2, "maximum": 2},
    },
    "chain": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "$name", "strength_model": "$strength", "strength_clip": "$strength"},
        "links": [{"source": "Model", "input": "model"}, {"source": "Clip", "input": "clip", "output": 1}],
    },
}
PARAMETERS: dict[str, Any] = {
    "prompt": {"type": "string", "sets": ["Prompt.text"], "max_length": 30},
    "steps": {
        "type": "integer",
        "minimum": 1,
        "maximum": 50,
        "sets": ["Sampler.steps", {"to": "Sampler.half", "times": 0.5}],
    },
    "cfg": {"type": "number", "minimum": 0, "sets": ["4.cfg"]},
    "seed": {"type": "seed", "sets": ["Sampler.seed"]},
    "photo": {"type": "image", "sets": ["Photo.image"], "without": ["Photo"]},
    "loras": LORAS,
}


def template(**parameters: Any) -> Template:
    table = {"title": "T", "about": "A test.", "outputs": ["Save"], "parameters": parameters or PARAMETERS}
    return read_template("t", WORKFLOW, table)


def filled(**params: Any) -> FilledTemplate:
    return fill(template(), params, lambda below: below - 1)


def test_defaults_come_from_the_workflow() -> None:
    """A missing default comes from the first target. Seeds and files get no default."""
    parameters = template().by_name
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "prompt": "a cat",
        "steps": 20,
        "cfg": 5.5,
        "seed": None,
        "photo": None,
        "loras": [],
    }
    assert not any(parameter.required for parameter in parameters.values())
    assert template(photo={"type": "image", "sets": ["Photo.image"]}).by_name["photo"].required


def test_fill_sets_every_target() -> None:
    """One value sets several inputs, one of them computed. The template itself is not changed."""
    result = filled(steps=5.0, prompt="a dog", cfg=3)
    assert result.prompt["4"]["inputs"] | {"seed": 0} == WORKFLOW["4"]["inputs"] | {
        **{"steps": 5, "half": 2, "cfg": 3, "seed": 0},
    }
    assert result.prompt["3"]["inputs"]["text"] == "a dog"
    assert WORKFLOW["4"]["inputs"]["steps"] == 20
    assert result.values == {"prompt": "a dog", "steps": 5, "cfg": 3, "seed": 2**32 - 1, "loras": []}


@pytest.mark.parametrize(("params", "used"), [({}, 2**32 - 1), ({"seed": -1}, 2**32 - 1), ({"seed": 7}, 7)])
def test_a_seed_is_random_without_a_value(params: dict[str, int], used: int) -> None:
    """No value and -1 give a random seed, which is in the values."""
    result = filled(**params)
    assert (result.prompt["4"]["inputs"]["seed"], result.values["seed"]) == (used, used)


def test_nodes_of_a_missing_parameter_are_removed() -> None:
    """Without an image its loader and all links to it are removed."""
    assert "5" not in filled().prompt
    assert filled().prompt["6"]["inputs"] == {"image1": ["4", 0]}
    assert filled(photo="https://example.com/a.png").prompt["6"]["inputs"] == WORKFLOW["6"]["inputs"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("https://example.com/a", "https://example.com/a"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("mine.png", "mine.png"),
        ("iVBORw0KGgoAAAANSUhEUg==", "data:;base64,iVBORw0KGgoAAAANSUhEUg=="),
        ("photo", "photo"),
    ],
)
def test_all_forms_of_files_are_accepted(sent: str, expected: str) -> None:
    """A URL, a data URI, a file name and base64 are valid.

    A name without suffix is valid if the request has the file.
    """
    result = fill(template(), {"photo": sent}, lambda below: 0, frozenset({"photo"}))
    assert result.prompt["5"]["inputs"]["image"] == expected
    assert "photo" not in result.values


def test_a_list_becomes_a_chain_of_nodes() -> None:
    """Each item becomes a node.

    Links to the sources lead to the last node, and the first node is linked to the sources.
    """
    result = filled(loras=[{"name": "a.safetensors"}, {"name": "b.safetensors", "strength": 0.5}]).prompt
    assert result["loras-1"]["inputs"] == {
        **{"lora_name": "a.safetensors", "strength_model": 1.0, "strength_clip": 1.0},
        **{"model": ["1", 0], "clip": ["2", 0]},
    }
    assert result["loras-2"]["inputs"] == {
        **{"lora_name": "b.safetensors", "strength_model": 0.5, "strength_clip": 0.5},
        **{"model": ["loras-1", 0], "clip": ["loras-1", 1]},
    }
    assert (result["4"]["inputs"]["model"], result["3"]["inputs"]["clip"]) == (["loras-2", 0], ["loras-2", 1])
    assert [key for key in filled(loras=[]).prompt if key.startswith("loras")] == []


@pytest.mark.parametrize(
    ("params", "path", "message", "cure"),
    [
        ({"stepz": 3}, "stepz", "is no parameter of template 't'", "Did you mean 'steps'?"),
        ({"steps": 51}, "steps", "is 51, more than 50", "Use an integer from 1 to 50."),
        ({"steps": 2.5}, "steps", "must be an integer, not 2.5", "Use an integer from 1 to 50."),
        ({"steps": True}, "steps", "must be an integer, not True", "Use an integer from 1 to 50."),
        ({"steps": "8"}, "steps", "must be an integer, not '8'", "Use an integer from 1 to 50."),
        ({"cfg": -1}, "cfg", "is -1, less than 0", "Use a number of at least 0."),
        ({"seed": -2}, "seed", "is -2, less than 0", "Use an integer from 0 to 9007199254740991."),
        ({"prompt": 4}, "prompt", "must be a string, not 4", "Use a string of at most 30 characters."),
        ({"prompt": "x" * 31}, "prompt", "has 31 characters, more than 30", "Use a string of at most 30 characters."),
        (
            {"photo": "/etc/passwd"},
            "photo",
            "cannot be '/etc/passwd'",
            "Use a URL, a data URI, base64, or the name of a file in the request.",
        ),
        (
            {"loras": {}},
            "loras",
            "must be a list, not an object",
            "Use a list of at most 2 objects with name, strength.",
        ),
        (
            {"loras": [3]},
            "loras.0",
            "must be an object, not 3",
            "Use a list of at most 2 objects with name, strength.",
        ),
        (
            {"loras": [{"name": "a", "strength": 3}]},
            "loras.0.strength",
            "is 3, more than 2",
            "Use a number from -2 to 2.",
        ),
        ({"loras": [{"strength": 1}]}, "loras.0.name", "is missing", "Use a string of at most 20000 characters."),
        (
            {"loras": [{"name": "a", "weight": 1}]},
            "loras.0.weight",
            "has no field 'weight'",
            "Known fields: name, strength.",
        ),
        (
            {"loras": [{"name": "a"}] * 3},
            "loras",
            "has 3 items, more than 2",
            "Use a list of at most 2 objects with name, strength.",
        ),
    ],
)
def test_an_invalid_value_is_reported(params: dict[str, Any], path: str, message: str, cure: str) -> None:
    """The problem has the path, the reason and a hint."""
    with pytest.raises(ParamsError) as refusal:
        filled(**params)
    (problem,) = refusal.value.problems
    assert (problem.path, problem.message, problem.cure) == (path, message, cure)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just("x.png")
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
ITEMS = st.lists(st.fixed_dictionaries({"name": st.text()}, optional={"strength": VALUES, "more": VALUES}), max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*PARAMETERS, "other"]), VALUES | ITEMS))
def test_any_value_is_filled_in_or_reported(params: dict[str, Any]) -> None:
    """Any value gives either ParamsError or a prompt whose links are valid."""
    try:
        prompt = filled(**params).prompt
    except ParamsError as refusal:
        prompt = {}
        messages = [problem.message for problem in refusal.problems]
    else:
        messages = ["nothing"]
    assert messages
    for node in prompt.values():
        for value in node["inputs"].values():
            assert not isinstance(value, list) or value[0] in prompt


def test_all_problems_are_reported_together() -> None:
    """ParamsError lists every invalid value."""
    with pytest.raises(ParamsError) as refusal:
        filled(steps=0, cfg="high", colour="red")
    assert {problem.path for problem in refusal.value.problems} == {"steps", "cfg", "colour"}


def test_a_missing_required_parameter_is_reported() -> None:
    """The problem has a hint with the valid values."""
    needs = template(prompt={"type": "string", "sets": ["Prompt.text"], "required": True})
    with pytest.raises(ParamsError, match="parameter 'prompt' is missing"):
        fill(needs, {}, lambda below: 0)


def test_schema_matches_the_parameters() -> None:
    """The schema has types, ranges, defaults and required parameters."""
    schema = params_schema(template())
    assert schema["properties"]["steps"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 20}
    assert schema["properties"]["loras"]["items"]["required"] == ["name"]
    assert schema["properties"]["loras"]["items"]["properties"]["strength"]["maximum"] == 2
    assert (schema["required"], schema["additionalProperties"]) == ([], False)
    choice = {"type": "choice", "choices": ["a cat", "a dog"], "sets": ["Prompt.text"]}
    assert params_schema(template(animal=choice))["properties"]["animal"]["enum"] == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"type": "integer", "sets": ["Sampler.stepz"]}, "Node 4 has no input 'stepz'. Did you mean 'steps'?"),
        ({"type": "integer", "sets": ["Samplr.steps"]}, "There is no node 'Samplr'. Did you mean 'Sampler'?"),
        ({"type": "integer", "sets": ["Sampler.steps"], "maximum": 10}, "its default is 20, more than 10"),
        ({"type": "number"}, "it sets no input"),
        ({"type": "choice", "sets": ["Prompt.text"]}, "a choice needs `choices`"),
        (
            {"type": "string", "sets": ["Prompt.text"], "minimum": 1},
            "`minimum` and `maximum` are only valid for a number",
        ),
        (
            {"type": "string", "sets": [{"to": "Prompt.text", "times": 2}]},
            "`times` and `plus` are only valid for a number",
        ),
        ({"type": "integer", "sets": ["Sampler.model"]}, "it needs a default, or `required = true`"),
        ({"type": "list"}, "a list needs `fields` and a `chain`"),
        ({"type": "text"}, "type: input should be"),
        ({"type": "string", "set": ["Prompt.text"]}, "set: unexpected keyword argument"),
        ({**LORAS, "fields": {"name": {"type": "string"}}}, "the chain uses the unknown fields strength"),
    ],
)
def test_an_invalid_template_is_rejected(parameter: dict[str, Any], problem: str) -> None:
    """The message names the parameter and the reason."""
    with pytest.raises(TemplateError) as refusal:
        template(mine=parameter)
    assert any(
        f"parameters.mine: {problem}" in message or f"parameters.mine.{problem}" in message
        for message in refusal.value.problems
    ), refusal.value.problems


def test_models_are_validated() -> None:
    """A model needs file and folder. URL, size and hash are optional but must be valid."""
    table = {"title": "T", "about": "A.", "outputs": ["7"], "parameters": {}}
    entry = {
        "file": "a/b.safetensors",
        "folder": "loras",
        "url": "https://example.com/b",
        "size": 7,
        "sha256": "0" * 64,
    }
    (model,) = read_template("t", WORKFLOW, {**table, "models": [entry]}).models
    assert (model.file, model.folder, model.size, model.gated) == ("a/b.safetensors", "loras", 7, False)
    with pytest.raises(TemplateError, match="sha256"):
        read_template("t", WORKFLOW, {**table, "models": [{**entry, "sha256": "0"}]})


def test_kinds_of_parameters() -> None:
    """is_file and is_number are set for the right kinds."""
    assert [kind for kind in ParameterKind if kind.is_file] == [
        ParameterKind.IMAGE,
        ParameterKind.VIDEO,
        ParameterKind.AUDIO,
    ]
    assert [kind for kind in ParameterKind if kind.is_number] == [
        ParameterKind.INTEGER,
        ParameterKind.NUMBER,
        ParameterKind.SEED,
    ]

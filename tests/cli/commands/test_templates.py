"""Templates on the command line: `templates`, `templates show`, `templates new` and `run NAME`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.commands.test_run import sizes
from tests.cli.terminal import WORKFLOWS, cli
from tests.engines import EngineHandle
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.library import read_library
from worker.workflow.templates.reader import read_template
from worker.workflow.templates.template import ParameterKind
from worker.workflow.templates.template_scaffold import scaffold_template

LIBRARY = read_library("shipped")


def flat(text: str) -> str:
    """Return the text without frames and line breaks."""
    return " ".join(text.replace("│", " ").split())


def test_templates_lists_each(tmp_path: Path) -> None:
    """`templates` prints one line for each template, and with `--json` an object."""
    listed = cli("templates", cwd=tmp_path)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted(LIBRARY)
    assert json.loads(cli("templates", "--json", cwd=tmp_path).stdout)["sdxl"]["title"] == "SDXL"


def test_show_prints_parameters_and_models(tmp_path: Path) -> None:
    """`show` prints parameters, models and packs, and with `--json` the schema. A wrong name gets a suggestion."""
    shown = flat(cli("templates", "show", "instantid", cwd=tmp_path).stdout)
    for text in ("weight 0.8", "from 0 to 3", "controlnet/instantid/diffusion_pytorch_model.safetensors", "InstantID"):
        assert text in shown
    schema = json.loads(cli("templates", "show", "sd15", "--json", cwd=tmp_path).stdout)
    assert schema["properties"]["steps"]["maximum"] == 100
    wrong = cli("templates", "show", "sd155", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "Did you mean 'sd15'?" in flat(wrong.stderr)


def test_a_template_runs_by_its_name(engine: EngineHandle, tmp_path: Path) -> None:
    """`run NAME` has the parameters as options, accepts `--set`, and prints the random seed."""
    options = ("--width", 96, "--height", 64, "--steps", 2, "--prompt", "a cat", "--set", "Save.filename_prefix=cat")
    done = cli("run", "sd15", *options, "--out", "made", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "made") == [(96, 64)]
    assert "made/cat_00001_.png" in done.stdout
    assert "seed " in done.stdout


def test_lists_files_and_booleans_are_options(engine: EngineHandle, tmp_path: Path) -> None:
    """A repeated option is a list, a file is read, `--no-` means false, and `--json` has the values."""
    small = ("--width", 256, "--height", 256, "--steps", 1)
    loras = ("--loras", "a.safetensors:0.5", "--loras", "b.safetensors")
    done = cli("run", "--json", "flux-dev-lora", *loras, *small, cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert json.loads(done.stdout)["params"]["loras"] == [
        {"name": "a.safetensors", "strength": 0.5},
        {"name": "b.safetensors"},
    ]
    Image.new("RGB", (48, 32), "teal").save(tmp_path / "mine.png")
    scaled = ("--image", "mine.png", "--width", 24, "--height", 12)
    done = cli("run", "resize", *scaled, "--out", "small", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert done.returncode == 0, done.stderr
    assert sizes(tmp_path / "small") == [(24, 12)]
    done = cli(
        "run", "z-image-turbo-res4lyf", "--no-bongmath", *small, "--json", cwd=tmp_path, WORKER_COMFYUI=engine.url
    )
    assert json.loads(done.stdout)["params"]["bongmath"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["sd15", "--steps", "0"], 2, "'--steps': Input should be greater than or equal to 1"),
        (["sd15", "--width", "101"], 2, "--width is 101, not a multiple of 8. Use an integer from 64 to 2048"),
        (["sd15", "--sampler", "eulr"], 2, "'euler'"),
        (["sd15", "--colour", "red"], 2, "No such option"),
        (["resize"], 2, "--image is missing. Use a URL"),
        (["resize", "--image", "none.png"], 2, "--image none.png: no such file"),
        (["flux-dev-lora", "--loras", "a:b:c"], 2, "write the value as name:strength"),
        (["flux-dev-lora", "--loras", "a:much"], 2, "strength has to be a number, not 'much'"),
        (["flux-schnel"], 2, "neither a file nor a template. Did you mean 'flux-schnell'?"),
    ],
)
def test_wrong_values_are_rejected_before_the_start(
    tmp_path: Path, arguments: list[str], code: int, reason: str
) -> None:
    """A wrong value exits with the name of the option and a valid value, before a worker is started."""
    done = cli("run", *arguments, cwd=tmp_path)
    assert (done.returncode, reason in flat(done.stderr)) == (code, True), done.stderr


@pytest.mark.parametrize("name", ["flux-dev-lora", "wan22-i2v"])
def test_the_help_has_every_parameter(tmp_path: Path, name: str) -> None:
    """`run NAME --help` has every parameter of the template."""
    shown = flat(cli("run", name, "--help", cwd=tmp_path).stdout)
    for parameter in LIBRARY[name].parameters:
        assert f"--{parameter.name.replace('_', '-')} " in shown
    assert LIBRARY[name].about in shown


def test_a_new_template_can_be_run(tmp_path: Path) -> None:
    """`templates new --write` makes a template that can be run, and does not overwrite a file."""
    workflow = tmp_path / "mine.json"
    workflow.write_text((WORKFLOWS / "smoke-resize.json").read_text())
    done = cli("templates", "new", workflow, "--write", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    own = {"WORKER_TEMPLATES": f"shipped,{tmp_path}"}
    assert "mine" in cli("templates", cwd=tmp_path, **own).stdout
    assert "--width" in cli("run", "mine", "--help", cwd=tmp_path, **own).stdout
    again = cli("templates", "new", workflow, "--write", cwd=tmp_path)
    assert (again.returncode, "exists already" in flat(again.stderr)) == (2, True)
    (tmp_path / "broken.json").write_text("{")
    assert "the workflow is not JSON" in flat(cli("templates", "new", tmp_path / "broken.json", cwd=tmp_path).stderr)


def test_titles_make_the_parameters_of_a_template() -> None:
    """Only nodes with the titles `input:` and `output` become parameters and results, if there are any."""
    prompt = json.loads((WORKFLOWS / "sd15.json").read_text())
    prompt["6"]["_meta"]["title"] = "input:prompt"
    prompt["3"]["_meta"]["title"] = "input:How often.steps"
    prompt["7"]["_meta"]["title"] = "input:prompt"
    prompt["8"]["_meta"]["title"] = "output"
    table = tomllib.loads(scaffold_template("mine", prompt, Catalog.bundled()))
    assert table["outputs"] == ["8"]
    assert {name: entry["sets"] for name, entry in table["parameters"].items()} == {
        "how_often": ["3.steps"],
        "prompt": ["6.text"],
        "prompt2": ["7.text"],
    }


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_new_template_has_the_essential_parameters(name: str) -> None:
    """The template of a shipped workflow has its outputs, models and packs, and its essential parameters."""
    shipped = LIBRARY[name]
    known = [model for template in LIBRARY.values() for model in template.models]
    text = scaffold_template(name, shipped.prompt, Catalog.bundled(), known)
    found = read_template(name, shipped.prompt, tomllib.loads(text))
    assert set(shipped.outputs) <= set(found.outputs)
    assert found.packs == shipped.packs
    assert {model for model in shipped.models if model.folder != "insightface"} == set(found.models)
    essential = {"prompt", "negative_prompt", "width", "height", "seed", "image", "video"}
    assert essential & set(shipped.by_name) <= {*found.by_name, *_other_sizes(name)}
    assert all(found.by_name[one].type.is_file for one in ("image", "video") if one in shipped.by_name)
    assert "seed" not in found.by_name or found.by_name["seed"].type is ParameterKind.SEED


def _other_sizes(name: str) -> set[str]:
    """Return the parameters that a workflow has twice under other names: the canvas and the scaled image are sizes."""
    return {"width", "height"} if name == "smoke-resize" else set()

"""Writes the TOML file of a proposed template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt, title
from worker.workflow.templates.template import ModelFile, ParameterKind
from worker.workflow.templates.value import SEED_MAX


@dataclass(slots=True)
class ProposedParameter:
    """A proposed parameter. Each of the `targets` has the value `value`. `spec` describes the first target."""

    name: str
    kind: ParameterKind
    value: Json
    spec: InputSpec | None
    about: str = ""
    targets: list[tuple[str, str]] = field(default_factory=list)


def template_table(name: str, outputs: list[str], packs: list[str]) -> str:
    """Return the fields at the top of the file: title, description, outputs and node packs."""
    lines = [
        f"title = {_toml_value(name)}",
        'about = "What this template is for."',
        f"outputs = {_toml_value(outputs)}",
    ]
    if packs:
        lines.append(f"packs = {_toml_value(packs)}")
    return "\n".join([*lines, ""])


def parameter_table(proposed: ProposedParameter, prompt: Prompt) -> str:
    """Return the TOML table of a parameter, with the titles of the nodes that it sets as a comment."""
    lines = [f"[parameters.{proposed.name}]", f"type = {_toml_value(proposed.kind.value)}"]
    if proposed.about:
        lines.append(f"description = {_toml_value(proposed.about)}")
    if proposed.kind is ParameterKind.CHOICE and proposed.spec:
        lines.append(f"choices = {_toml_value(list(proposed.spec.options or ()))}")
    if proposed.kind in {ParameterKind.INTEGER, ParameterKind.NUMBER} and proposed.spec:
        lines += _limit_lines(proposed)
    if proposed.kind.is_file:
        lines.append("required = true")
    targets = [f"{node_id}.{key}" for node_id, key in proposed.targets]
    titles = ", ".join(title(prompt, node_id) for node_id, _ in proposed.targets)
    return "\n".join([*lines, f"sets = {_toml_value(targets)}  # {_one_line(titles)}", ""])


def _limit_lines(proposed: ProposedParameter) -> Iterator[str]:
    """Yield the TOML lines for the limits of a number. A limit that the value itself violates is omitted."""
    spec, value = proposed.spec, proposed.value
    if spec is None or not isinstance(value, int | float):
        return
    if spec.min is not None and value >= spec.min:
        yield f"minimum = {spec.min:.16g}"
    if spec.max is not None and value <= spec.max <= SEED_MAX:
        yield f"maximum = {spec.max:.16g}"
    if proposed.kind is ParameterKind.INTEGER and spec.step and spec.step > 1 and value % spec.step == 0:
        yield f"multiple_of = {spec.step:g}"


def model_table(model: ModelFile) -> str:
    """Return the TOML table of a model file. An unknown URL becomes a comment, for the author to fill in."""
    lines = ["[[models]]", f"file = {_toml_value(model.file)}", f"folder = {_toml_value(model.folder)}"]
    lines.append(f"url = {_toml_value(model.url)}" if model.url else '# url = "https://..."')
    if model.size:
        lines.append(f"size = {model.size}")
    if model.sha256:
        lines.append(f"sha256 = {_toml_value(model.sha256)}")
    if model.gated:
        lines.append("gated = true")
    return "\n".join([*lines, ""])


def _toml_value(value: Json | list[str]) -> str:
    """Return a string or a list in TOML, which is the same as in JSON, except that TOML requires DEL to be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    """Return at most 80 characters of a text without line breaks and control characters, for a comment."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:80]

"""`comfy-worker templates show`: what one template takes and needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from worker.cli.output.screen import screen
from worker.cli.output.units import size
from worker.settings import Settings
from worker.workflow.nearest import did_you_mean
from worker.workflow.templates.library import read_library
from worker.workflow.templates.schema import params_schema
from worker.workflow.templates.template import ModelFile, Parameter, Template
from worker.workflow.templates.value import valid_value_hint


def command(
    name: Annotated[str, typer.Argument(help="of the template")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="print the JSON Schema of its parameters")] = False,
) -> None:
    """Show a template: parameters, models, node packs."""
    library = read_library(Settings.from_env().templates)
    if name not in library:
        raise typer.BadParameter(f"there is no template {name!r}. {did_you_mean(name, library) or ''}".rstrip())
    template = library[name]
    if as_json:
        print_json(params_schema(template))
    else:
        _show(template)


def print_json(value: Mapping[str, Any]) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def _show(template: Template) -> None:
    console = screen()
    console.print(Text(template.title, "bold"))
    console.print(template.about)
    for heading, rows in (
        ("parameters", [_parameter(parameter) for parameter in template.parameters]),
        ("models", [_model(model) for model in template.models]),
        ("node packs", [(pack, "", "") for pack in template.packs]),
    ):
        if rows:
            table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
            for row in rows:
                table.add_row(*row)
            console.print(Text(f"\n{heading}", "dim"))
            console.print(table)


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    default = "required" if parameter.required else "" if parameter.default is None else repr(parameter.default)
    return parameter.name, default if len(default) <= 30 else f"{default[:27]}...", _takes(parameter)


def _takes(parameter: Parameter) -> str:
    about = f"{parameter.description}. " if parameter.description else ""
    return f"{about}{valid_value_hint(parameter)}"


def _model(model: ModelFile) -> tuple[str, str, str]:
    known = size(model.size) if model.size else ""
    return f"{model.folder}/{model.file}", known, model.url or ""

"""`comfy-worker templates show`: the parameters, models and node packs of one template."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.argument_completion import template_names
from worker.cli.output.json_output import print_json
from worker.cli.output.rows import print_rows
from worker.cli.output.screen import screen
from worker.cli.output.units import size
from worker.cli.usage import UsageFailure
from worker.settings import Settings
from worker.workflow.nearest import did_you_mean
from worker.workflow.templates.library import read_library
from worker.workflow.templates.schema import params_schema
from worker.workflow.templates.template import ModelFile, Parameter, Template
from worker.workflow.templates.value import valid_value_hint

EXAMPLES = ("comfy-worker templates show flux-schnell", "comfy-worker templates show sdxl --json")


def command(
    name: Annotated[str, typer.Argument(help="Name of the template.", autocompletion=template_names)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON Schema of the parameters.")] = False,
) -> None:
    """Show a template's parameters, models and node packs."""
    library = read_library(Settings.from_env().templates)
    if name not in library:
        message = f"there is no template {name!r}. {did_you_mean(name, library) or ''}".rstrip()
        raise UsageFailure(message, "Run `comfy-worker templates` to list the templates.")
    template = library[name]
    if as_json:
        print_json(params_schema(template))
    else:
        _print_template(template)


def _print_template(template: Template) -> None:
    """Print the title, the parameters, the models and the node packs of a template."""
    console = screen()
    console.print(Text(template.title, "bold"))
    console.print(template.about)
    if template.parameters:
        console.print(Text("\nparameters", "dim"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        for parameter in template.parameters:
            table.add_row(*_parameter(parameter))
        console.print(table)
    if template.models:
        console.print(Text("\nmodels", "dim"))
        print_rows(console, [_model(model) for model in template.models], indent=2)
    if template.packs:
        console.print(Text("\nnode packs", "dim"))
        print_rows(console, [[Text(pack)] for pack in template.packs], indent=2)


def _parameter(parameter: Parameter) -> tuple[str, str, str]:
    """Return the cells of a parameter: its name, its default or `required`, and its description."""
    default = "" if parameter.default is None else repr(parameter.default)
    shortened = default if len(default) <= 30 else f"{default[:27]}..."
    return parameter.name, "required" if parameter.required else shortened, _description(parameter)


def _description(parameter: Parameter) -> str:
    """Return the description of a parameter and the values that it accepts."""
    about = f"{parameter.description}. " if parameter.description else ""
    return f"{about}{valid_value_hint(parameter)}"


def _model(model: ModelFile) -> tuple[Text, Text, Text]:
    """Return the cells of a model: its path, its size and its URL. The last two are empty if unknown."""
    return Text(f"{model.folder}/{model.file}"), Text(size(model.size) if model.size else ""), Text(model.url or "")

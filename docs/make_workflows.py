"""Prints `docs/workflows.md`: what is written by hand, and the tables that the library itself fills. `make docs`."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker.load.workload import workload
from worker.node_packs.pins import BASE, read_pins
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import SHIPPED_FOLDER, read_library
from worker.workflow.templates.template import ModelFile, Parameter, ParameterKind, Template
from worker.workflow.templates.value import number_range

HERE = Path(__file__).parent
SOURCE = HERE / "workflows.in.md"
GIB = 1024**3
NO_FILE = base64.b64encode(bytes(32)).decode()
"""Stands in for a picture: only its place in the workflow matters here."""


def page() -> str:
    """The whole page. Raises KeyError for a place that nothing fills."""
    library = read_library("shipped")
    text = SOURCE.read_text("utf-8")
    for place, made in (
        ("LIBRARY", _library(library.values())),
        ("PARAMETERS", _parameters(library.values())),
        ("MODELS", _models(library.values())),
        ("PACKS", _packs()),
    ):
        if f"<!-- {place} -->" not in text:
            raise KeyError(place)
        text = text.replace(f"<!-- {place} -->", made)
    return text


def _library(templates: Iterable[Template]) -> str:
    catalog = Catalog.bundled()
    rows = (
        (
            f"`{one.name}`",
            one.about,
            ", ".join(f"`{parameter.name}`" for parameter in one.parameters),
            ", ".join(one.packs),
            _together(one.models),
            f"{_workload(one, catalog):,.0f}",
        )
        for one in templates
    )
    return _table(("template", "what for", "parameters", "node packs", "models", "workload"), rows)


def _workload(template: Template, catalog: Catalog) -> float:
    """Units of a job with nothing but the defaults."""
    files = {parameter.name: NO_FILE for parameter in template.parameters if parameter.required}
    return workload(fill(template, files, lambda below: 0).prompt, catalog)


def _together(models: Iterable[ModelFile]) -> str:
    files = list(models)
    if not files:
        return "none"
    known = [file.size for file in files if file.size]
    more = len(files) - len(known)
    sizes = [f"{sum(known) / GIB:.1f} GiB"] if known else []
    return f"{len(files)}: {' and '.join([*sizes, *([f'{more} of unknown size'] if more else [])])}"


def _parameters(templates: Iterable[Template]) -> str:
    head = ("parameter", "takes", "default", "what it does")
    return "\n\n".join(f"### {one.name}\n\n{_table(head, map(_parameter, one.parameters))}" for one in templates)


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    return f"`{parameter.name}`", _takes(parameter), _default(parameter), parameter.description


def _takes(parameter: Parameter) -> str:
    if parameter.type is ParameterKind.CHOICE:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    if parameter.type is ParameterKind.LIST:
        return f"up to {parameter.items_max} of {', '.join(f'`{field.name}`' for field in parameter.fields)}"
    if parameter.type in {ParameterKind.INTEGER, ParameterKind.NUMBER}:
        low, high = number_range(parameter)
        multiple = f", a multiple of {parameter.multiple_of:g}" if (parameter.multiple_of or 1) != 1 else ""
        return f"{parameter.type.value}, {low:.16g} to {high:.16g}{multiple}"
    return parameter.type.value


def _default(parameter: Parameter) -> str:
    if parameter.type is ParameterKind.SEED:
        return "a fresh one"
    if parameter.required:
        return "required"
    if parameter.default in (None, []):
        return "none"
    text = str(parameter.default).lower() if parameter.type is ParameterKind.BOOLEAN else str(parameter.default)
    return f"`{text if len(text) <= 40 else f'{text[:37]}...'}`" if text else "empty"


def _models(templates: Iterable[Template]) -> str:
    users: dict[ModelFile, list[str]] = {}
    for one in templates:
        for model in one.models:
            users.setdefault(model, []).append(f"`{one.name}`")
    rows = (
        (
            f"[`{model.folder}/{model.file}`]({model.url})" if model.url else f"`{model.folder}/{model.file}`",
            f"{model.size / GIB:.2f} GiB" if model.size else "",
            f"`{model.sha256[:12]}…`" if model.sha256 else "",
            ", ".join(users[model]),
        )
        for model in sorted(users, key=lambda model: (model.folder, model.file))
    )
    return _table(("file", "size", "sha256", "needed by"), rows)


def _packs() -> str:
    packs = read_pins((SHIPPED_FOLDER.parent / "comfyui_nodes.txt").read_text("utf-8")).packs
    where = {BASE: "in every image"}
    rows = (
        (f"[{pack.name}]({pack.url})", f"`{pack.commit[:12]}`", where.get(pack.group, pack.group)) for pack in packs
    )
    return _table(("pack", "commit", "group"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_rows(head, rows))


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.stdout.write(page())

"""Prints `docs/workflows.md`: the text of `workflows.in.md`, with tables of the shipped templates (`make docs`)."""

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
"""Placeholder for an image, whose content does not affect the workload."""


def page() -> str:
    """Return the whole page. Raises KeyError if a placeholder is missing in the source."""
    library = read_library("shipped")
    text = SOURCE.read_text("utf-8")
    for placeholder, table in (
        ("LIBRARY", _library(library.values())),
        ("PARAMETERS", _parameters(library.values())),
        ("MODELS", _models(library.values())),
        ("PACKS", _packs()),
    ):
        if f"<!-- {placeholder} -->" not in text:
            raise KeyError(placeholder)
        text = text.replace(f"<!-- {placeholder} -->", table)
    return text


def _library(templates: Iterable[Template]) -> str:
    catalog = Catalog.bundled()
    rows = (
        (
            f"`{template.name}`",
            template.about,
            ", ".join(f"`{parameter.name}`" for parameter in template.parameters),
            ", ".join(template.packs),
            _total_size(template.models),
            f"{_workload(template, catalog):.3g}",
        )
        for template in templates
    )
    return _table(("Template", "Purpose", "Parameters", "Node packs", "Models and their size", "Workload"), rows)


def _workload(template: Template, catalog: Catalog) -> float:
    """Return the workload of a job with the default values."""
    files = {parameter.name: NO_FILE for parameter in template.parameters if parameter.required}
    return workload(fill(template, files, lambda below: 0).prompt, catalog)


def _total_size(models: Iterable[ModelFile]) -> str:
    files = list(models)
    if not files:
        return "none"
    sizes = [file.size for file in files if file.size]
    unknown_count = len(files) - len(sizes)
    parts = [f"{_files(len(sizes))} with {sum(sizes) / GIB:.1f} GiB"] if sizes else []
    parts += [f"{_files(unknown_count)} of unknown size"] if unknown_count else []
    return ", and ".join(parts)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _parameters(templates: Iterable[Template]) -> str:
    head = ("Parameter", "Values", "Default", "Description")
    return "\n\n".join(f"### {item.name}\n\n{_table(head, map(_parameter, item.parameters))}" for item in templates)


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    return f"`{parameter.name}`", _values(parameter), _default(parameter), parameter.description


def _values(parameter: Parameter) -> str:
    if parameter.type is ParameterKind.CHOICE:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    if parameter.type is ParameterKind.LIST:
        fields = ", ".join(f"`{field.name}`" for field in parameter.fields)
        return f"list of up to {parameter.items_max} objects with {fields}"
    if parameter.type in {ParameterKind.INTEGER, ParameterKind.NUMBER}:
        low, high = number_range(parameter)
        multiple = f", a multiple of {parameter.multiple_of:g}" if (parameter.multiple_of or 1) != 1 else ""
        return f"{parameter.type.value}, {low:.16g} to {high:.16g}{multiple}"
    return parameter.type.value


def _default(parameter: Parameter) -> str:
    if parameter.type is ParameterKind.SEED:
        return "random"
    if parameter.required:
        return "required"
    if parameter.default in (None, []):
        return "none"
    text = str(parameter.default).lower() if parameter.type is ParameterKind.BOOLEAN else str(parameter.default)
    return f"`{text if len(text) <= 40 else f'{text[:37]}...'}`" if text else "empty"


def _models(templates: Iterable[Template]) -> str:
    users: dict[ModelFile, list[str]] = {}
    for template in templates:
        for model in template.models:
            users.setdefault(model, []).append(f"`{template.name}`")
    rows = (
        (
            f"[`{model.folder}/{model.file}`]({model.url})" if model.url else f"`{model.folder}/{model.file}`",
            f"{model.size / GIB:.2f} GiB" if model.size else "",
            f"`{model.sha256[:12]}…`" if model.sha256 else "",
            ", ".join(users[model]),
        )
        for model in sorted(users, key=lambda model: (model.folder, model.file))
    )
    return _table(("File", "Size", "SHA-256", "Templates that need it"), rows)


def _packs() -> str:
    packs = read_pins((SHIPPED_FOLDER.parent / "comfyui_nodes.txt").read_text("utf-8")).packs
    group_texts = {BASE: "every image"}
    rows = (
        (
            f"[{pack.name}]({pack.url})",
            f"`{pack.commit[:12]}`",
            group_texts.get(pack.group, f"images with the group `{pack.group}`"),
        )
        for pack in packs
    )
    return _table(("Pack", "Commit", "Images that contain it"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_rows(head, rows))


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.stdout.write(page())

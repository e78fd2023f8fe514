"""`comfy-worker validate`: all that is wrong with a workflow, without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.errors import Detail
    from worker.workflow.catalog.catalog import Catalog
    from worker.workflow.repairs import ReadyPrompt
    from worker.workflow.validation.check import Check
    from worker.workflow.validation.file_check import FileCheck
    from worker.workflow.validation.report import ValidationReport


def command(
    workflow: Annotated[Path, typer.Argument(help="in any format, or a picture or video of ComfyUI's")],
    *,
    catalog: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="GET /object_info of the ComfyUI it is for; several are merged"),
    ] = None,
    assume_files: Annotated[
        bool, typer.Option("--assume-files", help="take models and input files for present")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="check what is there, without any repair")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print what POST /validate answers")] = False,
) -> None:
    """Say all that is wrong with a workflow, and what it needs.

    Exit code 1 where ComfyUI would refuse it, or a part of it. Without a catalog the nodes of ComfyUI 0.33.0 and of
    five packs are known.
    """
    from worker.cli.client.workflow_file import catalog_of, read_workflow

    known = catalog_of(catalog or ())
    found = look(
        read_workflow(workflow), known, _files(known, listed=bool(catalog), assume=assume_files), strict=strict
    )
    if as_json:
        import orjson

        typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found, workflow.name)
    raise typer.Exit(not found.valid)


def look(workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool = False) -> ValidationReport:
    """The report, by these files; downloads are those that the editor saved, then those of the templates."""
    from worker.load.workload import workload
    from worker.settings import Settings
    from worker.workflow.model_needs import downloads, needed_models, saved_models
    from worker.workflow.templates.library import read_library
    from worker.workflow.validation.report import report

    checked, warnings, ready = _checked(workflow, catalog, files, strict=strict)
    library = read_library(Settings.from_env().templates)
    known = downloads([*saved_models(workflow), *(file for one in library.values() for file in one.models)])
    found = report(
        checked,
        needed_models(checked.prompt, catalog, known),
        workload(checked.prompt, catalog),
        lambda need: need.listed or any(files.exists(folder, need.file) for folder in need.folders),
    )
    return replace(found, warnings=warnings, repairs=ready.repairs, seeds=ready.fields)


def _checked(
    workflow: object, catalog: Catalog, files: FileCheck, *, strict: bool
) -> tuple[Check, tuple[Detail, ...], ReadyPrompt]:
    """The check, the warnings of the conversion, and what would run."""
    from random import SystemRandom

    from worker.errors import CannotConvert, PromptError
    from worker.job import JobRequest
    from worker.workflow.editor import Conversion, convert, is_ui
    from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
    from worker.workflow.repairs import ReadyPrompt, ready_prompt
    from worker.workflow.validation.check import check, not_converted

    found, rng, nothing = unwrap(workflow), SystemRandom(), ReadyPrompt({}, (), (), ())
    try:
        conversion = convert(found, catalog) if is_ui(found) else Conversion(parse_prompt(found))
    except CannotConvert as error:
        return not_converted(error), (), nothing
    except PromptError:
        return check(found, catalog, files, workflow), (), nothing
    prompt = dict(draw_random_integers(conversion.prompt, rng))
    request = JobRequest(prompt, seed_fields=conversion.seeds, strict=strict)
    ready = ready_prompt(request, catalog, (), rng)
    return check(ready.prompt, catalog, files, workflow), conversion.warnings, ready


def _files(catalog: Catalog, *, listed: bool, assume: bool) -> FileCheck:
    """Those that the catalog lists, or else those of the models folder; pictures come with the request."""
    from worker.models.folder import ModelFiles, baked_models, models_folder
    from worker.settings import Settings
    from worker.workflow.validation.file_check import AssumeFiles, ListedFiles

    if assume:
        return AssumeFiles()
    if listed:
        return ListedFiles(catalog)
    settings = Settings.from_env()
    return ModelFiles(models_folder(settings), baked_models(settings))


def _show(found: ValidationReport, name: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from worker.cli.output.changes import show_changes
    from worker.cli.output.failure import rows
    from worker.cli.output.screen import screen
    from worker.engine.client import detail

    console = screen()
    count = len(found.problems)
    verdict = ("✓ valid", "bold green") if found.valid else (f"✗ {count} problem{'s'[: count > 1]}", "bold red")
    facts = f"  {name}: {len(found.check.prompt)} nodes, workload {found.workload:g}"
    console.print(Text.assemble(verdict, (facts, "dim")))
    for problem in found.problems:
        console.print(*rows(detail(problem)), sep="\n")
    show_changes(console, found.as_dict())
    if found.models:
        console.print()
    for need in found.models:
        here = need in found.here
        sign = ("✓", "green") if here else ("✗", "red")
        source = "" if here else f"  {need.source.url if need.source else 'no download known'}"
        console.print(Padding(Text.assemble(sign, f" models/{need.folder}/{need.file}", (source, "dim")), (0, 0, 0, 2)))

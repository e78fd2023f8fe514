"""`comfy-worker engine`: the embedded engine alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from worker.workflow.catalog.catalog import Catalog

Previews = Literal["none", "auto", "latent2rgb", "taesd"]
"""The choices of ComfyUI's own option."""


def command(  # noqa: PLR0913 - one parameter an option
    *,
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8188,
    host: str = "127.0.0.1",
    base: Annotated[Path, typer.Option(help="folder that holds input, output and temp")] = Path(".state/engine"),
    input_directory: Annotated[Path | None, typer.Option(help="input folder, where it is not below base")] = None,
    output_directory: Annotated[Path | None, typer.Option(help="output folder, where it is not below base")] = None,
    models_directory: Annotated[Path | None, typer.Option(help="models folder, where it is not below base")] = None,
    fault: Annotated[str, typer.Option(help="what goes wrong, to rehearse: oom@KSampler;times=2")] = "",
    speed: Annotated[float, typer.Option(help="0: no waiting; 1: about the time of a mid-range GPU")] = 0.0,
    catalog: Annotated[
        Path | None, typer.Option(help="what another ComfyUI answers at GET /object_info, to play that one; .gz too")
    ] = None,
    preview_method: Annotated[
        Previews, typer.Option(help="of samplers, where a prompt names no method itself")
    ] = "none",
    strict: Annotated[bool, typer.Option("--strict", help="refuse models that are not in its models folder")] = False,
) -> None:
    """Speak ComfyUI's protocol without a GPU.

    Image nodes are real; everything else is simulated and marked as such.
    """
    from worker.errors import InvalidFault, StartupError
    from worker.simulators.comfyui.faults.fault import parse_faults
    from worker.simulators.comfyui.server.serve import run
    from worker.simulators.comfyui.settings import EngineSettings

    try:
        faults = parse_faults(fault)
    except InvalidFault as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from error
    try:
        classes = None if catalog is None else _classes(catalog)
    except StartupError as error:
        raise typer.BadParameter(str(error), param_hint="--catalog") from error
    given = {"input": input_directory, "output": output_directory, "models": models_directory}
    folders = {name: path for name, path in given.items() if path is not None}
    settings = EngineSettings(base=base, host=host, port=port, speed=speed, faults=faults, strict_files=strict)
    run(replace(settings, folders=folders, catalog=classes, preview_method=preview_method))


def _classes(path: Path) -> Catalog:
    """Read the classes of another ComfyUI. Raises StartupError."""
    from worker.engine.catalogs import read_catalog
    from worker.workflow.catalog.reduce import reduced

    return reduced(read_catalog(path))

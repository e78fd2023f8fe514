"""`comfy-worker engine`: the embedded engine alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from worker.workflow.catalog.catalog import Catalog

T = TypeVar("T")
R = TypeVar("R")
Caches = Literal["last-prompt", "every-prompt"]
Previews = Literal["none", "auto", "latent2rgb", "taesd"]
"""The choices of ComfyUI's own option."""

EXAMPLES = (
    "comfy-worker engine --port 8188",
    "comfy-worker engine --speed 1 --fault 'oom@KSampler;times=2'",
    "comfy-worker engine --catalog object_info.json --strict",
    "comfy-worker engine --timings timings.py",
)


SpeedOption = Annotated[
    float | None,
    typer.Option(
        help="Speed of sampling. 0 takes no time. 1 is about that of a mid-range GPU, or that of --timings.",
        show_default="0, or 1 with --timings",
    ),
]


def command(  # noqa: PLR0913 - one parameter an option
    *,
    port: Annotated[int, typer.Option(help="Port to listen on. 0 means a free port.")] = 8188,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    base: Annotated[Path, typer.Option(help="Folder with the folders input, output and temp.")] = Path(".state/engine"),
    input_directory: Annotated[Path | None, typer.Option(help="Input folder, instead of the one in --base.")] = None,
    output_directory: Annotated[Path | None, typer.Option(help="Output folder, instead of the one in --base.")] = None,
    models_directory: Annotated[Path | None, typer.Option(help="Models folder, instead of the one in --base.")] = None,
    fault: Annotated[str, typer.Option(help="Fault to inject, for tests.")] = "",
    speed: SpeedOption = None,
    timings: Annotated[
        Path | None, typer.Option(help="Python file with a function that returns the seconds of a node.")
    ] = None,
    catalog: Annotated[Path | None, typer.Option(help="GET /object_info of the ComfyUI whose nodes to have.")] = None,
    cache: Annotated[
        Caches, typer.Option(help="Results of nodes to keep: those of the last prompt, or of all prompts.")
    ] = "last-prompt",
    preview_method: Annotated[
        Previews, typer.Option(help="Preview images of samplers, unless the prompt sets a method.")
    ] = "none",
    strict: Annotated[bool, typer.Option("--strict", help="Reject models that are not in the models folder.")] = False,
) -> None:
    """Start the embedded engine: ComfyUI's API without a GPU.

    Nodes that change images really run. Sampling and all other nodes are simulated, and simulated outputs are marked.
    """
    from worker.simulators.comfyui.faults.fault import parse_faults
    from worker.simulators.comfyui.server.serve import run
    from worker.simulators.comfyui.settings import CachePolicy, EngineSettings
    from worker.simulators.comfyui.timings import Timings

    faults = _read("--fault", parse_faults, fault) or []
    node_seconds = _read("--timings", Timings.read, timings)
    classes = _read("--catalog", _read_classes, catalog)
    options = {"input": input_directory, "output": output_directory, "models": models_directory}
    folders = {name: path for name, path in options.items() if path is not None}
    speed = speed if speed is not None else float(node_seconds is not None)
    settings = EngineSettings(base=base, host=host, port=port, speed=speed, faults=faults, strict_files=strict)
    settings = replace(settings, folders=folders, catalog=classes, timings=node_seconds)
    run(replace(settings, cache=CachePolicy(cache), preview_method=preview_method))


def _read(option: str, parse: Callable[[T], R], value: T | None) -> R | None:
    """Return the parsed value of an option, or None if it is not given. Raises BadParameter for an invalid one."""
    from worker.errors import InvalidFault, StartupError

    try:
        return parse(value) if value else None
    except (InvalidFault, StartupError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _read_classes(path: Path) -> Catalog:
    """Return the node classes of another ComfyUI. Raises StartupError when the file is not a catalog."""
    from worker.engine.catalogs import read_catalog
    from worker.workflow.catalog.reduce import reduced

    return reduced(read_catalog(path))

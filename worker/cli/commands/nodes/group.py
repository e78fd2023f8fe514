"""`comfy-worker nodes`: what `comfyui_nodes.txt` pins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.node_packs.pins import PinnedPack, Pins

FILE = Path("comfyui_nodes.txt")
LOCKS = Path("locks")

File = Annotated[Path, typer.Option(help="the pins")]
Locks = Annotated[Path, typer.Option(help="folder of the locks and of constraints.txt")]
Sources = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="may have ComfyUI and packs, each under its name; else git")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def command(context: typer.Context, *, file: File = FILE, as_json: Json = False) -> None:
    """List what is pinned: ComfyUI and its node packs.

    `add`, `update` and `lock` change it, `check` says whether it still holds: see docs/nodes.md.
    """
    if context.invoked_subcommand is not None:
        return
    with told():
        pins = pins_in(file)
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json({pack.name: as_dict(pack) for pack in (pins.comfyui, *pins.packs)})
        return
    from rich.table import Table

    from worker.cli.output.screen import screen

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for pack in (pins.comfyui, *pins.packs):
        table.add_row(pack.name, pack.commit[:12], pack.group, pack.url)
    screen().print(table)


def as_dict(pack: PinnedPack) -> dict[str, object]:
    return {
        **{"url": pack.url, "commit": pack.commit, "group": pack.group},
        **{"needs": list(pack.needs), "gpu_import": pack.gpu_import, "writes": list(pack.writes)},
    }


def pins_in(file: Path) -> Pins:
    """Raises PacksError with the file's name."""
    from worker.node_packs.pins import PacksError, read_pins

    try:
        return read_pins(file.read_text("utf-8"))
    except PacksError as error:
        raise PacksError(f"{file}: {error}") from error


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong with pins, sources and locks is a sentence and exit code 1."""
    from worker.errors import LockError, RequirementsError, StartupError
    from worker.node_packs.pins import PacksError
    from worker.node_packs.sources import SourceError

    try:
        yield
    except (PacksError, SourceError, RequirementsError, LockError) as error:
        raise StartupError(str(error)) from error
    except OSError as error:
        raise StartupError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error

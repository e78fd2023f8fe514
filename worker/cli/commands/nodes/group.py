"""`comfy-worker nodes`: the node packs that `comfyui_nodes.txt` pins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.node_packs.pins import PinnedPack, Pins

FILE = Path("comfyui_nodes.txt")
LOCKS = Path("locks")

EXAMPLES = ("comfy-worker nodes", "comfy-worker nodes --json", "comfy-worker nodes check")

File = Annotated[Path, typer.Option(help="File with the pinned node packs.")]
Locks = Annotated[Path, typer.Option(help="Folder of the locks and of constraints.txt.")]
Sources = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder with sources of ComfyUI and packs. The others come from git."),
]


def command(context: typer.Context, *, file: File = FILE, as_json: Json = False) -> None:
    """List the pinned node packs.

    ComfyUI and each pack are pinned to a commit. See docs/nodes.md.
    """
    if context.invoked_subcommand is not None:
        return
    with reported_errors():
        pins = pins_in(file)
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({pack.name: as_dict(pack) for pack in (pins.comfyui, *pins.packs)})
        return
    from rich.text import Text

    from worker.cli.output.rows import print_rows
    from worker.cli.output.screen import screen

    packs = (pins.comfyui, *pins.packs)
    rows = [[Text(pack.name), Text(pack.commit[:12]), Text(pack.group), Text(pack.url)] for pack in packs]
    print_rows(screen(), rows)


def as_dict(pack: PinnedPack) -> dict[str, object]:
    """Return a pack for `--json`."""
    return {
        "url": pack.url,
        "commit": pack.commit,
        "group": pack.group,
        "needs": list(pack.needs),
        "gpu_import": pack.gpu_import,
        "writes": list(pack.writes),
    }


def pins_in(file: Path) -> Pins:
    """Return the pins in a file. Raises PacksError with the file's name."""
    from worker.node_packs.pins import PacksError, read_pins

    try:
        return read_pins(file.read_text("utf-8"))
    except PacksError as error:
        raise PacksError(f"{file}: {error}") from error


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors of pins, sources and locks into failures of the command."""
    from worker.cli.output.failure import Failure
    from worker.errors import LockError, RequirementsError
    from worker.node_packs.pins import PacksError
    from worker.node_packs.sources import SourceError

    try:
        yield
    except PacksError as error:
        raise Failure("pins_invalid", str(error)) from error
    except SourceError as error:
        raise Failure("source_unavailable", str(error)) from error
    except (RequirementsError, LockError) as error:
        raise Failure("lock_failed", str(error)) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{error.filename}: {(error.strerror or str(error)).lower()}") from error

"""`comfy-worker nodes update`: to newer commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.nodes.group import FILE, File, Json, pins_in, told

if TYPE_CHECKING:
    from worker.node_packs.pins import PinnedPack, Pins


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME[@REF]", help="which; without any, all packs")
    ] = None,
    *,
    file: File = FILE,
    as_json: Json = False,
) -> None:
    """Move packs to newer commits, and say from where to where.

    To REF, a branch or tag, else to the newest commit of the default branch.
    ComfyUI itself is moved only by name: `comfy-worker nodes update ComfyUI@v0.34.0`.
    Then lock: `comfy-worker nodes lock`.
    """
    from worker.node_packs.edit import set_commit
    from worker.node_packs.remote import resolve_ref

    with told():
        pins = pins_in(file)
        text = file.read_text("utf-8")
        changes: list[tuple[PinnedPack, str]] = []
        for pack, ref in _wanted(pins, names or ()):
            commit = resolve_ref(pack.url, ref)
            text = set_commit(text, pack.name, commit, ref if ref != commit else None)
            changes.append((pack, commit))
        file.write_text(text, "utf-8")
    _tell(changes, as_json=as_json)


def _wanted(pins: Pins, names: list[str] | tuple[()]) -> list[tuple[PinnedPack, str | None]]:
    from worker.workflow.nearest import did_you_mean

    known = {pack.name: pack for pack in (pins.comfyui, *pins.packs)}
    wanted: list[tuple[PinnedPack, str | None]] = []
    for given in names or [pack.name for pack in pins.packs]:
        name, _, ref = given.partition("@")
        if name not in known:
            raise typer.BadParameter(f"there is no pack {name!r}. {did_you_mean(name, known) or ''}".rstrip())
        wanted.append((known[name], ref or None))
    return wanted


def _tell(changes: list[tuple[PinnedPack, str]], *, as_json: bool) -> None:
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json({pack.name: {"old": pack.commit, "new": commit} for pack, commit in changes})
        return
    for pack, commit in changes:
        now = f"{pack.commit[:12]} -> {commit[:12]}" if commit != pack.commit else f"{commit[:12]} already"
        typer.echo(f"{pack.name}  {now}")
    if any(commit != pack.commit for pack, commit in changes):
        typer.echo("now: comfy-worker nodes lock")

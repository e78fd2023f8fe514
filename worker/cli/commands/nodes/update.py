"""`comfy-worker nodes update`: newer commits of node packs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.argument_completion import node_pack_names
from worker.cli.commands.nodes.group import FILE, File, pins_in, reported_errors
from worker.cli.options import Json
from worker.cli.usage import UsageFailure

if TYPE_CHECKING:
    from worker.node_packs.pins import PinnedPack, Pins


EXAMPLES = (
    "comfy-worker nodes update",
    "comfy-worker nodes update RES4LYF@main",
    "comfy-worker nodes update ComfyUI@v0.34.0",
)


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[@REF]", help="Packs to update. Without a name, all packs.", autocompletion=node_pack_names
        ),
    ] = None,
    *,
    file: File = FILE,
    as_json: Json = False,
) -> None:
    """Pin newer commits of node packs.

    Pins the commit of REF, a branch or tag, or else the newest commit of the default branch. ComfyUI itself is only
    updated by name. Run `comfy-worker nodes lock` afterwards.
    """
    from worker.cli.output.waiting import waiting
    from worker.node_packs.edit import set_commit
    from worker.node_packs.remote import resolve_ref

    with reported_errors():
        pins = pins_in(file)
        text = file.read_text("utf-8")
        changes: list[tuple[PinnedPack, str]] = []
        with waiting("resolving commits") as shown:
            for pack, ref in _named_packs(pins, names or ()):
                shown.update(f"resolving the commit of {pack.name}")
                commit = resolve_ref(pack.url, ref)
                text = set_commit(text, pack.name, commit, ref if ref != commit else None)
                changes.append((pack, commit))
        file.write_text(text, "utf-8")
    _print_changes(changes, as_json=as_json)


def _named_packs(pins: Pins, names: list[str] | tuple[()]) -> list[tuple[PinnedPack, str | None]]:
    """Return each named pack with its REF, or with None if it has no REF. Raises UsageFailure for an unknown name.

    Without names, return all packs, but not ComfyUI.
    """
    from worker.workflow.nearest import did_you_mean

    packs = {pack.name: pack for pack in (pins.comfyui, *pins.packs)}
    named: list[tuple[PinnedPack, str | None]] = []
    for argument in names or [pack.name for pack in pins.packs]:
        name, _, ref = argument.partition("@")
        if name not in packs:
            message = f"there is no pack {name!r}. {did_you_mean(name, packs) or ''}".rstrip()
            raise UsageFailure(message, "Run `comfy-worker nodes` to list the packs.")
        named.append((packs[name], ref or None))
    return named


def _print_changes(changes: list[tuple[PinnedPack, str]], *, as_json: bool) -> None:
    """Print each pack, as it was, with its new commit. Print the next command if a commit has changed."""
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({pack.name: {"old": pack.commit, "new": commit} for pack, commit in changes})
        return
    for pack, commit in changes:
        change = f"{pack.commit[:12]} -> {commit[:12]}" if commit != pack.commit else f"{commit[:12]} (no change)"
        typer.echo(f"{pack.name}  {change}")
    if any(commit != pack.commit for pack, commit in changes):
        typer.echo("→ comfy-worker nodes lock")

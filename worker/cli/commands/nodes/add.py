"""`comfy-worker nodes add`: another node pack."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from worker.cli.commands.nodes.group import FILE, File, as_dict, pins_in, reported_errors
from worker.cli.options import Json

EXAMPLES = (
    "comfy-worker nodes add cubiq/ComfyUI_InstantID --group instantid",
    "comfy-worker nodes add https://git.example.org/own/pack@v1.2",
)
SHORT = re.compile(r"[\w.-]+/[\w.-]+")
SOURCE = re.compile(r"(?P<url>\w+://(?:[^/@]+@)?[^@]+?|[\w.-]+/[\w.-]+)(?:@(?P<ref>[^@]+))?")


def command(
    source: Annotated[
        str, typer.Argument(metavar="URL[@REF]", help="A git URL or OWNER/NAME on GitHub, and a branch or tag.")
    ],
    *,
    group: Annotated[str, typer.Option(help="Group of packs. `base` is in every image.")] = "base",
    name: Annotated[str | None, typer.Option(help="Name of the pack's folder, instead of the URL's last part.")] = None,
    file: File = FILE,
    as_json: Json = False,
) -> None:
    """Pin another node pack.

    Pins the commit of REF, a branch or tag, or else the newest commit of the default branch. Run
    `comfy-worker nodes lock` afterwards.
    """
    from worker.cli.output.json_output import print_json
    from worker.cli.output.waiting import waiting
    from worker.node_packs.edit import add_pack
    from worker.node_packs.pins import PinnedPack, read_pins
    from worker.node_packs.remote import resolve_ref, unavailable_commits
    from worker.node_packs.sources import SourceError

    url, ref = split_source(source)
    with reported_errors(), waiting(f"resolving {source}"):
        pins_in(file)
        commit = resolve_ref(url, ref)
        pack = PinnedPack(name or url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git"), url, commit, group)
        text = add_pack(file.read_text("utf-8"), pack, ref if ref != commit else None)
        read_pins(text)
        if problems := unavailable_commits([pack]):
            raise SourceError(problems[pack.name])
        file.write_text(text, "utf-8")
    if as_json:
        print_json({pack.name: as_dict(pack)})
        return
    typer.echo(f"{pack.name}  {commit[:12]}  {group}\n→ comfy-worker nodes lock")


def split_source(source: str) -> tuple[str, str | None]:
    """Return the URL, and the branch, tag or commit after its `@`. The `@` after a user's name is part of the URL.

    Raises typer.BadParameter.
    """
    match = SOURCE.fullmatch(source)
    if match is None:
        raise typer.BadParameter(f"{source!r} is neither a git URL nor OWNER/NAME on GitHub")
    url = match["url"]
    return (f"https://github.com/{url}" if SHORT.fullmatch(url) else url), match["ref"]

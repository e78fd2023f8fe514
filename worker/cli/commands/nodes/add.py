"""`comfy-worker nodes add`: one more pack."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from worker.cli.commands.nodes.group import FILE, File, Json, as_dict, pins_in, told

SHORT = re.compile(r"[\w.-]+/[\w.-]+")
SOURCE = re.compile(r"(?P<url>\w+://(?:[^/@]+@)?[^@]+?|[\w.-]+/[\w.-]+)(?:@(?P<ref>[^@]+))?")


def command(
    source: Annotated[
        str, typer.Argument(metavar="URL[@REF]", help="of git, or OWNER/NAME on GitHub; a branch or tag")
    ],
    *,
    group: Annotated[str, typer.Option(help="base: in every image")] = "base",
    name: Annotated[str | None, typer.Option(help="of its folder, instead of the URL's last part")] = None,
    file: File = FILE,
    as_json: Json = False,
) -> None:
    """Pin one more pack, to the commit of a branch or tag.

    Without REF to the newest commit of its default branch. Then lock: `comfy-worker nodes lock`.
    """
    from worker.node_packs.edit import add_pack
    from worker.node_packs.pins import PinnedPack, read_pins
    from worker.node_packs.remote import resolve_ref, unavailable_commits
    from worker.node_packs.sources import SourceError

    url, ref = parts(source)
    with told():
        pins_in(file)
        commit = resolve_ref(url, ref)
        pack = PinnedPack(name or url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git"), url, commit, group)
        text = add_pack(file.read_text("utf-8"), pack, ref if ref != commit else None)
        read_pins(text)
        if why := unavailable_commits([pack]):
            raise SourceError(why[pack.name])
        file.write_text(text, "utf-8")
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json({pack.name: as_dict(pack)})
        return
    typer.echo(f"{pack.name}  {commit[:12]}  {group}\nnow: comfy-worker nodes lock")


def parts(source: str) -> tuple[str, str | None]:
    """A URL, and the branch, tag or commit behind its @; the @ of a user in it is none."""
    found = SOURCE.fullmatch(source)
    if found is None:
        raise typer.BadParameter(f"{source!r} is neither a URL of git nor OWNER/NAME on GitHub")
    url = found["url"]
    return (f"https://github.com/{url}" if SHORT.fullmatch(url) else url), found["ref"]

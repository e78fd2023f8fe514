"""One comment or issue, which is written once and then changed."""

from __future__ import annotations

from pathlib import Path

from tests.ci.hub import hub

MARK = "<!-- comfy-worker plan -->"


def written(folder: Path, text: str) -> str:
    file = folder / "body.md"
    file.write_text(text)
    return str(file)


async def test_a_second_plan_replaces_the_first(tmp_path: Path) -> None:
    """A second plan replaces the first comment on any page, and no text of other users."""
    async with hub() as found:
        found.note(f"{MARK}\nmine", login="somebody")
        for number in range(120):
            found.note(f"comment {number}", login="somebody")
        say = ("ci.note", "comment", "--number", "7", "--mark", "plan", "--file")
        assert await found.script(*say, written(tmp_path, "2 changes")) == "#122"
        assert await found.script(*say, written(tmp_path, "no change")) == "#122"
        assert found.notes[121]["body"] == f"{MARK}\nno change"
        assert (len(found.notes), found.notes[0]["body"]) == (122, f"{MARK}\nmine")
        assert found.tokens == {"Bearer secret"}


async def test_an_issue_is_opened_once(tmp_path: Path) -> None:
    """A second failure changes the open issue."""
    async with hub() as found:
        say = ("ci.note", "issue", "--title", "Pins", "--mark", "pins", "--file")
        assert await found.script(*say, written(tmp_path, "RES4LYF is gone")) == "#1"
        assert await found.script(*say, written(tmp_path, "two are gone")) == "#1"
        assert [note["body"] for note in found.notes] == ["<!-- comfy-worker pins -->\ntwo are gone"]


async def test_a_plan_that_github_would_refuse_is_cut(tmp_path: Path) -> None:
    """A body that is too long for GitHub is cut."""
    async with hub() as found:
        await found.script(
            *("ci.note", "comment", "--number", "7", "--mark", "plan", "--file", written(tmp_path, "x" * 99_999))
        )
        assert 65_000 < len(found.notes[0]["body"]) < 65_536
        assert "the rest is in the summary" in found.notes[0]["body"]

"""One comment on a pull request, or one issue: written the first time, changed from then on.

`python3 -m ci.note comment --number 7 --mark plan --file plan.md`
`python3 -m ci.note issue --title "Pins that no longer resolve" --mark pins --file issue.md`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from ci.github import Json, Repository

BOT = "github-actions[bot]"
LONGEST = 65_000
"""Characters; GitHub takes 65,536."""


def text_of(mark: str, body: str) -> str:
    """The body with its mark, cut where GitHub would refuse it."""
    cut = body if len(body) <= LONGEST else f"{body[:LONGEST]}\n\n… the rest is in the summary of the run."
    return f"<!-- comfy-worker {mark} -->\n{cut}"


def marked(notes: Iterable[Json], mark: str) -> Json | None:
    """The first that carries the mark and is the workflows' own: anybody can write a mark."""
    first = text_of(mark, "").strip()
    return next(
        (note for note in notes if note["user"]["login"] == BOT and (note["body"] or "").startswith(first)), None
    )


def comment(repository: Repository, number: int, mark: str, body: str) -> str:
    """Its address. Raises HTTPError."""
    old = marked(repository.all(f"issues/{number}/comments"), mark)
    way = ("PATCH", f"issues/comments/{old['id']}") if old else ("POST", f"issues/{number}/comments")
    return str(repository.write(*way, {"body": text_of(mark, body)})["html_url"])


def issue(repository: Repository, title: str, mark: str, body: str) -> str:
    """Its address; one that was closed stays closed, and another is opened. Raises HTTPError."""
    old = marked(repository.all("issues?state=open"), mark)
    way = ("PATCH", f"issues/{old['number']}") if old else ("POST", "issues")
    return str(repository.write(*way, {"title": title, "body": text_of(mark, body)})["html_url"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="ci.note")
    parser.add_argument("kind", choices=("comment", "issue"))
    parser.add_argument("--number", type=int, help="of the pull request")
    parser.add_argument("--title", help="of the issue")
    parser.add_argument("--mark", required=True, help="by which it is found again")
    parser.add_argument("--file", type=Path, required=True, help="Markdown")
    asked = parser.parse_args()
    repository, body = Repository.from_env(), asked.file.read_text("utf-8")
    if asked.kind == "comment":
        print(comment(repository, asked.number, asked.mark, body))
    else:
        print(issue(repository, asked.title, asked.mark, body))


if __name__ == "__main__":
    main()

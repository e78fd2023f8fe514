"""Writes one comment on a pull request, or one issue. Later calls change it instead of writing another one.

`python3 -m ci.note comment --number 7 --mark plan --file plan.md`
`python3 -m ci.note issue --title "Pins that no longer resolve" --mark pins --file issue.md`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from ci.github import Json, Repository

BOT = "github-actions[bot]"
MAX_CHARS = 65_000
"""Longest body in characters. GitHub's limit is 65,536."""


def text_of(mark: str, body: str) -> str:
    """Return the body with its mark, cut to the length that GitHub accepts."""
    cut = body if len(body) <= MAX_CHARS else f"{body[:MAX_CHARS]}\n\n… the rest is in the summary of the run."
    return f"<!-- comfy-worker {mark} -->\n{cut}"


def find_marked(notes: Iterable[Json], mark: str) -> Json | None:
    """Return the first note that has the mark and was written by the workflows, because anyone can write a mark."""
    first = text_of(mark, "").strip()
    return next(
        (note for note in notes if note["user"]["login"] == BOT and (note["body"] or "").startswith(first)), None
    )


def comment(repository: Repository, number: int, mark: str, body: str) -> str:
    """Write the comment and return its URL. Raises HTTPError."""
    old = find_marked(repository.all(f"issues/{number}/comments"), mark)
    request = ("PATCH", f"issues/comments/{old['id']}") if old else ("POST", f"issues/{number}/comments")
    return str(repository.write(*request, {"body": text_of(mark, body)})["html_url"])


def issue(repository: Repository, title: str, mark: str, body: str) -> str:
    """Write the issue and return its URL. A closed issue stays closed, and a new one is opened. Raises HTTPError."""
    old = find_marked(repository.all("issues?state=open"), mark)
    request = ("PATCH", f"issues/{old['number']}") if old else ("POST", "issues")
    return str(repository.write(*request, {"title": title, "body": text_of(mark, body)})["html_url"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="ci.note")
    parser.add_argument("kind", choices=("comment", "issue"))
    parser.add_argument("--number", type=int, help="number of the pull request")
    parser.add_argument("--title", help="title of the issue")
    parser.add_argument("--mark", required=True, help="text that identifies the comment or issue")
    parser.add_argument("--file", type=Path, required=True, help="file with the body in Markdown")
    arguments = parser.parse_args()
    repository, body = Repository.from_env(), arguments.file.read_text("utf-8")
    if arguments.kind == "comment":
        print(comment(repository, arguments.number, arguments.mark, body))
    else:
        print(issue(repository, arguments.title, arguments.mark, body))


if __name__ == "__main__":
    main()

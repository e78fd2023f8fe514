"""Why there is no result, as a list that a person can work off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from worker.errors import Detail

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


class Failure(Exception):
    """An error as gateways tell it (`WorkerError.as_dict`), or one of the way there."""

    def __init__(self, code: str, message: str, details: Sequence[Detail] = (), retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.retryable = retryable

    @classmethod
    def read(cls, body: object) -> Self:
        """From the body of an answer; one that is not a worker's says so."""
        match body:
            case {"error": {"code": str(code), "message": str(message), "details": list(details), **rest}}:
                return cls(code, message, [detail_of(row) for row in details], bool(rest.get("retryable")))
        return cls("bad_answer", f"this is no worker's answer: {str(body)[:200]}")

    @classmethod
    def unreachable(cls, url: str, why: object = "") -> Self:
        return cls("unreachable", f"no worker answers at {url}" + (f": {why}" if str(why) else ""), retryable=True)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the native dialect's shape."""
        details = [{name: value for name, value in asdict(row).items() if value} for row in self.details]
        error = {"code": self.code, "message": self.message, "retryable": self.retryable, "details": details}
        return {"status": "error", "error": error}

    def show(self, console: Console) -> None:
        """What is wrong, where, and what to do about it."""
        from rich.text import Text

        console.print(Text.assemble(("✗ ", "bold red"), (self.message, "bold"), (f"  [{self.code}]", "dim")))
        for detail in self.details:
            console.print(*rows(detail), sep="\n")
        if self.retryable:
            console.print(Text("  The same request may succeed later, or on another worker.", "dim"))


def detail_of(row: Mapping[str, Any]) -> Detail:
    """Read one row of an error's details, or one problem of `POST /validate`."""
    return Detail(
        message=str(row.get("message", "")),
        node_id=row.get("node_id"),
        node_title=row.get("node_title"),
        class_type=row.get("class_type"),
        input=row.get("input"),
        suggestion=row.get("suggestion"),
        expected=row.get("expected"),
        comfyui_type=row.get("comfyui_type"),
    )


def rows(detail: Detail) -> Iterator[RenderableType]:
    """Where, then what, then the cure, each of which may need more than one line."""
    from rich.padding import Padding
    from rich.text import Text

    yield ""
    if place := _place(detail):
        yield Padding(place, (0, 0, 0, 2))
    yield Padding(Text(detail.message), (0, 0, 0, 4))
    if detail.expected:
        yield Padding(Text(f"expected: {detail.expected}", "dim"), (0, 0, 0, 4))
    if detail.suggestion:
        yield Padding(Text(f"→ {detail.suggestion}", "green"), (0, 0, 0, 4))


def _place(detail: Detail) -> Text:
    """`node 3 Shrink (ImageScale), input width`, as far as it is known."""
    from rich.text import Text

    text = Text()
    if detail.node_id:
        text.append("node ").append(detail.node_id, "bold cyan")
        if detail.node_title:
            text.append(f" {detail.node_title}", "bold")
        if detail.class_type and detail.class_type != detail.node_title:
            text.append(f" ({detail.class_type})")
    if detail.input:
        text.append(", input " if text else "input ").append(detail.input, "bold")
    return text

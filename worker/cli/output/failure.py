"""The failure of a command, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from worker.errors import Detail, WorkerError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


class Failure(Exception):
    """An error of a worker (`WorkerError.as_dict`), or of the command itself.

    `step` is the sentence that says what to do next. If it is empty, the step for the code is printed (`next_steps`). A
    command that raises this ends with `exit_code`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Sequence[Detail] = (),
        retryable: bool = False,
        *,
        step: str = "",
        exit_code: int = 1,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.retryable = retryable
        self.step = step
        self.exit_code = exit_code

    @classmethod
    def read(cls, body: object) -> Self:
        """Return the failure in the body of a response. The code is `bad_answer` if it has no worker's error."""
        match body:
            case {"error": {"code": str(code), "message": str(message), "details": list(details), **others}}:
                return cls(code, message, [detail_of(row) for row in details], bool(others.get("retryable")))
        return cls("bad_answer", f"the response is not a worker's: {str(body)[:200]}")

    @classmethod
    def of(cls, error: WorkerError) -> Self:
        """Return the failure for an error that the worker's own code raised in this process."""
        return cls(error.code, error.message, error.details)

    @classmethod
    def unreachable(cls, url: str, reason: object = "") -> Self:
        """Return the failure to reach a worker at this URL."""
        message = f"no worker responds at {url}" + (f": {reason}" if str(reason) else "")
        return cls("unreachable", message, retryable=True)

    def as_dict(self, step: str) -> dict[str, Any]:
        """Return the native dialect's error object, with the next step as `next`."""
        details = [{name: value for name, value in asdict(row).items() if value} for row in self.details]
        error = {"code": self.code, "message": self.message, "retryable": self.retryable, "details": details}
        return {"status": "error", "error": {**error, "next": step}}

    def show(self, console: Console, step: str) -> None:
        """Print the message, each detail, and the next step."""
        from rich.text import Text

        from worker.cli.output.rows import print_step

        heading = Text.assemble(("✗ ", "bold red"), (self.message, "bold"), (f"  [{self.code}]", "dim"))
        console.print(heading, soft_wrap=not console.is_terminal)
        for detail in self.details:
            console.print(*rows(detail), sep="\n")
        if self.details:
            console.print()
        print_step(console, step)


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
    """Yield the lines of a detail: its place, message, expected value and suggestion, as far as they are known."""
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
    """Return `node 3 Shrink (ImageScale), input width`, without the parts that are unknown."""
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

"""Errors of the price table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class PriceError(Exception):
    """Root of the errors of the price table. `code` is for programs, the message for people."""

    code: ClassVar[str] = "price_error"


@dataclass(frozen=True, slots=True)
class PriceProblem:
    """One thing to change in a price file. `table` is `vast.gpu.RTX 4090`, or empty for the file itself."""

    table: str
    key: str
    message: str

    def __str__(self) -> str:
        location = f"[{self.table}] {self.key}" if self.table else self.key
        return f"{location.rstrip()}: {self.message}"  # a problem of a whole table has no key


class PriceFileError(PriceError):
    """The price file is invalid. `problems` lists every problem in it."""

    code = "prices_invalid"

    def __init__(self, problems: Sequence[PriceProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class UnknownPrice(PriceError):
    """The table does not have the price. Add it with a price file, or choose one of those that the message names."""

    code = "price_unknown"

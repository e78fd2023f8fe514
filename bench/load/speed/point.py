"""The public measurements of generation times, as the file `speed-points.csv` lists them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SEPARATE = "ArcB70"
"""A GPU whose points come from one source and are reported apart."""


@dataclass(frozen=True, slots=True)
class SpeedPoint:
    """One measurement: what was generated on which GPU, and the seconds that it took with loaded models.

    `kind` is "e2e" for a whole job, and "sampling" for the sampler alone. `option` names what made the engine faster or
    slower. `trust` is A, B or C.
    """

    id: int
    family: str
    model: str
    precision: str
    width: int
    height: int
    frames: int
    batch: int
    steps: int
    passes: int
    gpu: str
    seconds: float
    kind: str
    engine: str
    option: str
    trust: str

    @property
    def is_plain(self) -> bool:
        """Whether the engine ran as usual, and the source is trusted."""
        return not self.option and self.trust != "C"

    def __str__(self) -> str:
        """Return a short description."""
        size = f"{self.width}x{self.height}" + (f"x{self.frames}" if self.frames > 1 else "")
        batch = f", batch {self.batch}" if self.batch > 1 else ""
        option = f", {self.option}" if self.option else ""
        return f"{self.model}, {size}{batch}, {self.steps} steps, {self.engine}{option}: {self.seconds:g} s"

    @classmethod
    def read(cls, row: Mapping[str, str]) -> Self:
        """Return the point in a row of the file."""
        return cls(
            id=int(row["id"]),
            family=row["family"],
            model=row["model"],
            precision=row["precision"],
            width=int(row["width"]),
            height=int(row["height"]),
            frames=int(row["frames"]),
            batch=int(row["batch"]),
            steps=int(row["steps"]),
            passes=int(row["passes"]),
            gpu=row["gpu"],
            seconds=float(row["seconds"]),
            kind=row["kind"],
            engine=row["engine"],
            option=row["opt"],
            trust=row["trust"],
        )


def read_points(path: Path) -> list[SpeedPoint]:
    """Return the points with loaded models, without those of first runs."""
    with path.open(encoding="utf-8", newline="") as file:
        return [SpeedPoint.read(row) for row in csv.DictReader(file) if row["cold"] == "0"]

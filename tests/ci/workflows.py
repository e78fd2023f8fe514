"""The workflows by job and step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {path.stem: YAML(typ="safe", pure=True).load(path) for path in FILES}
TEXTS = {path.stem: path.read_text("utf-8") for path in FILES}


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """One job; `calls` is True when it is another workflow, which has its own limits."""

    name: str
    body: dict[str, Any]

    @property
    def calls(self) -> bool:
        return "uses" in self.body

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.body.get("steps", [])

    def __str__(self) -> str:
        return self.name


def jobs() -> list[WorkflowJob]:
    return [
        WorkflowJob(f"{file}.{name}", body) for file, found in WORKFLOWS.items() for name, body in found["jobs"].items()
    ]


def scripts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every script, for each value of its job's matrix."""
    for job in jobs():
        for number, step in enumerate(job.steps):
            if "run" in step:
                for text in _played(step["run"], step.get("env", {}), job.body.get("strategy", {}).get("matrix", {})):
                    yield f"{job}.{number}", text.replace("\\\n", " ")


def _played(text: str, env: dict[str, str], matrix: dict[str, list[str]]) -> Iterator[str]:
    for variable, value in env.items():
        name = value.removeprefix("${{ matrix.").removesuffix(" }}")
        if name in matrix:
            yield from (text.replace(f'"${variable}"', str(one)) for one in matrix[name])
            return
    yield text

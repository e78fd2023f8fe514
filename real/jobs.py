"""The jobs of the suite: a file for each node pack, with workflows and their expected outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "jobs"
EARLIER = "job: "
"""Prefix of an input that is the first file delivered by an earlier job of the same pass."""
Workflow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """One expected output. `facts` are fields of the output in the response, with their expected values."""

    node: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> ExpectedOutput:
        """Read an entry of `expect` in a job file."""
        facts = {name: value for name, value in row.items() if name not in {"node", "kind"}}
        return cls(str(row["node"]), str(row["kind"]), facts)


@dataclass(frozen=True, slots=True)
class RealJob:
    """One job of the suite.

    `inputs` are the input files by the name that the workflow uses. Each is a key of `real.media.MEDIA`, or EARLIER
    followed by the name of a job.
    """

    pack: str
    name: str
    workflow: Workflow
    expected: Sequence[ExpectedOutput]
    tags: frozenset[str] = frozenset()
    inputs: Mapping[str, str] = field(default_factory=dict)
    companions: Sequence[str] = ()
    """Patterns of files in the output folder that belong to a delivered file and are not delivered themselves."""
    problem: bool = False
    """True when the response must name a problem."""
    deliver_models: bool = False
    uncached: Sequence[str] = ()
    """Ids of nodes that ComfyUI never caches. `note` gives the reason."""
    fails: str = ""
    """Part of the error message when ComfyUI itself fails this job. Empty when the job succeeds."""
    twin: str = ""
    """Why the embedded engine behaves differently. Empty when it behaves as a real ComfyUI."""
    editor: Mapping[str, Any] = field(default_factory=dict)
    """The prompt that the real editor (1.48.7) made of the workflow. Empty when there is none."""
    drawn: Sequence[str] = ()
    """Inputs that get a random number in every job."""
    load: str = ""
    """Why the nodes that run or the steps cannot be predicted. Empty when they can."""
    note: str = ""
    """A remark for docs/compatibility.md."""

    @property
    def title(self) -> str:
        """The pack and the name of the job."""
        return f"{self.pack}: {self.name}"

    @property
    def converted(self) -> bool:
        """Whether the workflow is in the editor's format, so that the worker converts it."""
        return "nodes" in self.workflow

    @property
    def classes(self) -> frozenset[str]:
        """The classes of the workflow's nodes. For a converted workflow, those of the editor's prompt."""
        if self.converted:
            return frozenset(node["class_type"] for node in self.editor.values()) or self._saved_classes
        return frozenset(node["class_type"] for node in self.workflow.values())

    @property
    def _saved_classes(self) -> frozenset[str]:
        return frozenset(node["type"] for node in self.workflow["nodes"])

    @property
    def models(self) -> frozenset[str]:
        """The model files that the workflow names."""
        nodes = self.editor.values() if self.converted else self.workflow.values()
        values = (value for node in nodes for value in node["inputs"].values() if isinstance(value, str))
        return frozenset(value for value in values if value.endswith(".safetensors"))

    def body(self, files: Mapping[str, str], folders: Mapping[str, Path], *, by_url: bool = False) -> dict[str, Any]:
        """Return the request body in the native dialect.

        `files` are the input files in base64. `{name}` in the workflow is replaced by the path of that folder.
        """
        text = orjson.dumps(self.workflow)
        for name, folder in folders.items():
            text = text.replace(f"{{{name}}}".encode(), orjson.dumps(str(folder))[1:-1])
        body: dict[str, Any] = {"workflow": orjson.loads(text), "output_format": "url" if by_url else "base64"}
        if files:
            body["inputs"] = dict(files)
        if self.deliver_models:
            body["deliver_models"] = True
        return body


@dataclass(frozen=True, slots=True)
class PackJobs:
    """The jobs of one node pack. `module` is the pack's Python module in ComfyUI's catalog, empty for ComfyUI's own."""

    title: str
    module: str
    jobs: Sequence[RealJob]
    not_tried: Mapping[str, str]
    """Classes without a job, each with the reason."""

    def contains(self, python_module: str) -> bool:
        """Return whether a class of this Python module belongs to the pack."""
        if self.module:
            return python_module == self.module
        return not python_module.startswith("custom_nodes.") or python_module == "custom_nodes.websocket_image_save"


def read_packs(folder: Path = FOLDER) -> list[PackJobs]:
    """Read all job files. ComfyUI's own nodes come first, because other packs use the files of their jobs."""
    packs = [_pack(orjson.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]
    return sorted(packs, key=lambda pack: (bool(pack.module), pack.title.lower()))


def _pack(data: Mapping[str, Any]) -> PackJobs:
    """Read one job file."""
    title = data["pack"]
    jobs = [_job(title, row) for row in data["jobs"]]
    return PackJobs(title, data["module"], jobs, data.get("not_tried", {}))


def _job(pack: str, row: Mapping[str, Any]) -> RealJob:
    """Read one entry of `jobs` in a job file."""
    return RealJob(
        pack=pack,
        name=row["name"],
        workflow=row["workflow"],
        expected=[ExpectedOutput.read(output) for output in row["expect"]],
        tags=frozenset(row.get("tags", ())),
        inputs=row.get("inputs", {}),
        companions=row.get("companions", ()),
        problem=row.get("problem", False),
        deliver_models=row.get("deliver_models", False),
        uncached=row.get("uncached", ()),
        fails=row.get("fails", ""),
        twin=row.get("twin", ""),
        editor=row.get("editor", {}),
        drawn=row.get("drawn", ()),
        load=row.get("load", ""),
        note=row.get("note", ""),
    )

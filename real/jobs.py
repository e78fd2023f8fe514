"""The jobs of the suite: one file a node pack, each job a workflow and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "jobs"
EARLIER = "job: "
"""Begins an input that is the first file of an earlier job of the same pass."""
Workflow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """One output. `facts` are fields of the answer's output, each with the value that it has to have."""

    node: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> ExpectedOutput:
        facts = {name: value for name, value in row.items() if name not in {"node", "kind"}}
        return cls(str(row["node"]), str(row["kind"]), facts)


@dataclass(frozen=True, slots=True)
class RealJob:
    """`inputs` are files by the name that the workflow uses: a name of `real.media`, or EARLIER and a job's name."""

    pack: str
    name: str
    workflow: Workflow
    expected: Sequence[ExpectedOutput]
    tags: frozenset[str] = frozenset()
    inputs: Mapping[str, str] = field(default_factory=dict)
    companions: Sequence[str] = ()
    """Patterns of files in the output folder that belong to a delivered one, and are not delivered themselves."""
    problem: bool = False
    """True where the answer has to name a problem."""
    deliver_models: bool = False
    uncached: Sequence[str] = ()
    """Nodes that ComfyUI runs for every prompt, as their classes ask for; `note` gives the reason."""
    fails: str = ""
    """Part of the message with which ComfyUI itself fails this job; empty where it runs."""
    twin: str = ""
    """Why the embedded engine does not do the same; empty where it does."""
    editor: Mapping[str, Any] = field(default_factory=dict)
    """The prompt that the real editor (1.48.7) made of the file; empty where it was not asked."""
    drawn: Sequence[str] = ()
    """Inputs that get another number for every job."""
    note: str = ""
    """What a reader of docs/compatibility.md has to know of it."""

    @property
    def title(self) -> str:
        return f"{self.pack}: {self.name}"

    @property
    def converted(self) -> bool:
        """Whether it is a workflow as the editor saves it."""
        return "nodes" in self.workflow

    @property
    def classes(self) -> frozenset[str]:
        """Classes of the nodes, in either form of a workflow; of one that is converted those that run."""
        if self.converted:
            return frozenset(node["class_type"] for node in self.editor.values()) or self._saved_classes
        return frozenset(node["class_type"] for node in self.workflow.values())

    @property
    def _saved_classes(self) -> frozenset[str]:
        return frozenset(node["type"] for node in self.workflow["nodes"])

    @property
    def models(self) -> frozenset[str]:
        """Model files that the workflow names."""
        nodes = self.editor.values() if self.converted else self.workflow.values()
        values = (value for node in nodes for value in node["inputs"].values() if isinstance(value, str))
        return frozenset(value for value in values if value.endswith(".safetensors"))

    def body(self, files: Mapping[str, str], folders: Mapping[str, Path], *, by_url: bool = False) -> dict[str, Any]:
        """A native request. `files` are base64; `{name}` in the workflow becomes the path of that one of `folders`."""
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
    """`module` is what ComfyUI's catalog calls the pack; empty for ComfyUI's own nodes."""

    title: str
    module: str
    jobs: Sequence[RealJob]
    not_tried: Mapping[str, str]
    """Classes that no job has, each with the reason."""

    def has(self, python_module: str) -> bool:
        own = not python_module.startswith("custom_nodes.") or python_module == "custom_nodes.websocket_image_save"
        return python_module == self.module if self.module else own


def read_packs(folder: Path = FOLDER) -> list[PackJobs]:
    """All packs, ComfyUI's own first: others use the files that its jobs have made."""
    packs = [_pack(orjson.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]
    return sorted(packs, key=lambda pack: (bool(pack.module), pack.title.lower()))


def _pack(data: Mapping[str, Any]) -> PackJobs:
    title = data["pack"]
    jobs = [_job(title, row) for row in data["jobs"]]
    return PackJobs(title, data["module"], jobs, data.get("not_tried", {}))


def _job(pack: str, row: Mapping[str, Any]) -> RealJob:
    return RealJob(
        pack=pack,
        name=row["name"],
        workflow=row["workflow"],
        expected=[ExpectedOutput.read(one) for one in row["expect"]],
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
        note=row.get("note", ""),
    )

"""What ComfyUI's log says of the import of its node packs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# ComfyUI's newer log begins its lines with the level.
LEVEL = re.compile(r"^\[(?:INFO|WARNING|ERROR|DEBUG)\] ?", re.MULTILINE)
TIMED = re.compile(r"^ *(?P<seconds>\d+\.\d) seconds(?P<failed> \(IMPORT FAILED\))?: (?P<path>.+)$", re.MULTILINE)
# Of ComfyUI's own nodes, those in comfy_extras and comfy_api_nodes.
OWN = re.compile(r"^IMPORT FAILED: (?P<name>.+)$", re.MULTILINE)
CANNOT = re.compile(r"^(?:Cannot import|Skip) (?P<path>.+?) module for custom nodes(?P<why>.*)$", re.MULTILINE)
ENTRY_POINT = re.compile(
    r"^(?:Error while calling )?comfy_entrypoint in (?P<path>.+?)(?P<why>(?:: | is | did ).*)$", re.MULTILINE
)
PRESTARTUP = re.compile(
    r"^Failed to execute startup-script: (?P<path>.+?)/prestartup_script\.py / (?P<why>.*)$", re.MULTILINE
)
NOT_IN_LOG = "its reason is not in the log"
TRACEBACK = "Traceback (most recent call last):"
TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class PackImport:
    """Of one pack, or of a file of ComfyUI's own nodes. Without a cause where it was imported.

    `traceback` is what stands below its heading. `prestartup` says why the pack's prestartup script failed, after
    which ComfyUI imports the pack all the same. `path` is empty for ComfyUI's own nodes.
    """

    name: str
    imported: bool
    seconds: float = 0.0
    cause: str = ""
    traceback: str = ""
    prestartup: str = ""
    path: str = field(default="", compare=False)


def read_imports(log: str) -> dict[str, PackImport]:
    """By the name of the pack's folder; what ComfyUI says nothing of is not there."""
    text = plain(log)
    causes = _causes(text)
    found: dict[str, PackImport] = {}
    for line in TIMED.finditer(text):
        name = PurePosixPath(line["path"]).name
        cause, trace = causes.get(name, (NOT_IN_LOG, "")) if line["failed"] else ("", "")
        found[name] = PackImport(name, not line["failed"], float(line["seconds"]), cause, trace, path=line["path"])
    for line in OWN.finditer(text):
        found[line["name"]] = PackImport(line["name"], False, 0.0, *causes.get(line["name"], (NOT_IN_LOG, "")))
    for line in PRESTARTUP.finditer(text):
        name = PurePosixPath(line["path"]).name
        if name in found:
            found[name] = replace(found[name], prestartup=line["why"] or NOT_IN_LOG)
    return found


def _causes(text: str) -> dict[str, tuple[str, str]]:
    """The sentence and the traceback before it, by the pack's name; the first sentence counts."""
    found: dict[str, tuple[str, str]] = {}
    before = 0
    for said in sorted((*CANNOT.finditer(text), *ENTRY_POINT.finditer(text)), key=lambda match: match.start()):
        told = text[before : said.start()] if said[0].startswith("Cannot import") else ""
        trace = told.rpartition(TRACEBACK)[2].strip("\n") if TRACEBACK in told else ""
        cause = _raised(trace) or said["why"].strip(" :") or NOT_IN_LOG
        found.setdefault(PurePosixPath(said["path"]).name, (cause, trace))
        before = said.end()
    return found


def _raised(trace: str) -> str:
    """The exception of a traceback with the first line of its message: the first line below the frames."""
    return next((line for line in trace.splitlines() if line and not line.startswith(" ")), "")


def plain(log: str) -> str:
    """Without colours and levels."""
    return LEVEL.sub("", ANSI.sub("", log))


def tail(log: str) -> str:
    """Its last lines, for a ComfyUI that died."""
    return "\n".join([line for line in plain(log).splitlines() if line.strip()][-TAIL_LINES:])

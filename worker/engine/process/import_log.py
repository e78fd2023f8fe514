"""The results of importing node packs, read from ComfyUI's log. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# Newer versions of ComfyUI begin each line with the level.
LEVEL = re.compile(r"^\[(?:INFO|WARNING|ERROR|DEBUG)\] ?", re.MULTILINE)
TIMED = re.compile(r"^ *(?P<seconds>\d+\.\d) seconds(?P<failed> \(IMPORT FAILED\))?: (?P<path>.+)$", re.MULTILINE)
# Failures of ComfyUI's own nodes, in comfy_extras and comfy_api_nodes.
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
    """The import of one pack, or of a file of ComfyUI's own nodes.

    `cause` is the message of the error, or empty after success. `traceback` is the text after its heading. `prestartup`
    is the error of the pack's prestartup script, after which ComfyUI still imports the pack. `path` is empty for
    ComfyUI's own nodes.
    """

    name: str
    imported: bool
    seconds: float = 0.0
    cause: str = ""
    traceback: str = ""
    prestartup: str = ""
    path: str = field(default="", compare=False)


def read_imports(log: str) -> dict[str, PackImport]:
    """Return the imports by the name of the pack's folder. Packs that the log does not mention are left out."""
    text = plain(log)
    causes = _causes(text)
    imports: dict[str, PackImport] = {}
    for line in TIMED.finditer(text):
        name = PurePosixPath(line["path"]).name
        imported, seconds = not line["failed"], float(line["seconds"])
        cause, trace = ("", "") if imported else causes.get(name, (NOT_IN_LOG, ""))
        imports[name] = PackImport(name, imported, seconds, cause, trace, path=line["path"])
    for line in OWN.finditer(text):
        cause, trace = causes.get(line["name"], (NOT_IN_LOG, ""))
        imports[line["name"]] = PackImport(line["name"], imported=False, cause=cause, traceback=trace)
    for line in PRESTARTUP.finditer(text):
        name = PurePosixPath(line["path"]).name
        if name in imports:
            imports[name] = replace(imports[name], prestartup=line["why"] or NOT_IN_LOG)
    return imports


def _causes(text: str) -> dict[str, tuple[str, str]]:
    """Return the message and the traceback of each failed import, by pack name.

    If there are several messages about a pack, the first one counts.
    """
    causes: dict[str, tuple[str, str]] = {}
    previous_end = 0
    for message in sorted((*CANNOT.finditer(text), *ENTRY_POINT.finditer(text)), key=lambda match: match.start()):
        # ComfyUI prints a traceback before this message only.
        output = text[previous_end : message.start()] if message[0].startswith("Cannot import") else ""
        trace = output.rpartition(TRACEBACK)[2].strip("\n") if TRACEBACK in output else ""
        cause = _exception_line(trace) or message["why"].strip(" :") or NOT_IN_LOG
        causes.setdefault(PurePosixPath(message["path"]).name, (cause, trace))
        previous_end = message.end()
    return causes


def _exception_line(trace: str) -> str:
    """Return the line of a traceback with the exception and the first line of its message, or an empty string."""
    return next((line for line in trace.splitlines() if line and not line.startswith(" ")), "")


def plain(log: str) -> str:
    """Return the log without colors and levels."""
    return LEVEL.sub("", ANSI.sub("", log))


def tail(log: str) -> str:
    """Return the last 20 lines of a log that are not empty, without colors and levels."""
    return "\n".join([line for line in plain(log).splitlines() if line.strip()][-TAIL_LINES:])

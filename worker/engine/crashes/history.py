"""The history of the jobs that ComfyUI crashed or hung under.

A job is known by what it runs and not by its id, also after a restart of the worker.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from worker.job import JobRequest

log = logging.getLogger(__name__)

SEEN = 2
"""Deaths of ComfyUI after which a job is not run again, where this worker saw each of them."""
IN_ALL = 3
"""The same, counting also those in which the worker died too: the cause may have been the machine."""


@dataclass(slots=True)
class CrashRecord:
    """The deaths of ComfyUI under one graph, by name, true where this worker saw it; `at` is the last's time.

    Several prompts of the graph may be inside when ComfyUI ends: that is one death.
    """

    crashes: dict[str, bool] = field(default_factory=dict)
    at: float = 0.0
    cause: str = ""
    """How ComfyUI ended the last time, and at which node, as far as that is known."""
    prompts: dict[str, str] = field(default_factory=dict)
    """The death that took each prompt, by its id: an id that comes again in the next life is the same death."""

    @property
    def is_blocked(self) -> bool:
        return sum(self.crashes.values()) >= SEEN or len(self.crashes) >= IN_ALL

    def add(self, prompt_id: str, death: str, *, seen: bool) -> None:
        """Count a death, unless it is known."""
        name = self.prompts.setdefault(prompt_id, death)
        self.crashes[name] = seen or self.crashes.get(name, False)


def fingerprint(request: JobRequest) -> str:
    """Of what runs: the graph without its titles, and the files that came with it."""
    graph = {
        node_id: {key: value for key, value in node.items() if key != "_meta"}
        for node_id, node in request.prompt.items()
    }
    digest = hashlib.sha256(orjson.dumps(graph, option=orjson.OPT_SORT_KEYS))
    for file in request.inputs:
        digest.update(file.name.encode() + b"\0" + bytes.fromhex(file.sha256))
    return digest.hexdigest()


class CrashHistory:
    """A small file, written at each crash, so that a job can't take down one life of this worker after the other."""

    def __init__(self, path: Path, memory_s: float) -> None:
        self._path = path
        self._memory_s = memory_s
        self._records = _read(path)

    def find(self, request: JobRequest) -> CrashRecord | None:
        """The crashes of this job, if any are remembered. Costs nothing as long as there are none at all."""
        oldest = time.time() - self._memory_s
        self._records = {name: record for name, record in self._records.items() if record.at > oldest}
        return self._records.get(fingerprint(request)) if self._records else None

    def add(self, request: JobRequest, prompt_id: str, death: str, *, seen: bool, cause: str = "") -> CrashRecord:
        """Remember that a death took a prompt of this job."""
        record = self._records.setdefault(fingerprint(request), CrashRecord())
        record.add(prompt_id, death, seen=seen)
        record.at = time.time()
        record.cause = cause or record.cause
        self._write()
        return record

    def clear(self, request: JobRequest) -> None:
        """It ran through: it was not the job."""
        name = fingerprint(request) if self._records else ""
        if name in self._records:
            del self._records[name]
            self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(orjson.dumps(self._records))
            new.replace(self._path)
        except OSError as error:
            log.warning("crashes can't be remembered in %s: %s", self._path, error)


def _read(path: Path) -> dict[str, CrashRecord]:
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("crashes of earlier lives are forgotten: %s can't be read (%s)", path, error)
        return {}
    records = found if isinstance(found, dict) else {"": found}
    read = {name: record for name, value in records.items() if (record := _record(value)) is not None}
    if len(read) < len(records):
        log.warning(
            "%d of %d records in %s can't be read and are forgotten", len(records) - len(read), len(records), path
        )
    return read


def _record(found: object) -> CrashRecord | None:
    """Return a stored record, None for anything else. Fields that a later release adds are ignored.

    A worker up to 0.2 wrote no `prompts`, and named each death by the prompt.
    """
    if not isinstance(found, dict):
        return None
    crashes, at, cause = found.get("crashes"), found.get("at"), found.get("cause", "")
    if not isinstance(crashes, dict) or not all(isinstance(seen, bool) for seen in crashes.values()):
        return None
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(cause, str):
        return None
    prompts = found.get("prompts", {prompt_id: prompt_id for prompt_id in crashes})
    if not isinstance(prompts, dict) or not all(isinstance(death, str) for death in prompts.values()):
        return None
    return CrashRecord(crashes, float(at), cause, prompts)

"""The history of the jobs during which ComfyUI crashed or hung.

A job is identified by its graph and files, not by its id. The history outlives a restart of the worker.
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

MOST_OBSERVED = 2
"""Number of deaths that this worker observed after which a job is not run again."""
MOST_IN_ALL = 3
"""The same number, including deaths in which the worker ended as well. In those the machine may be the cause."""


@dataclass(slots=True)
class CrashRecord:
    """The deaths of ComfyUI during one graph.

    `crashes` has their names, each with True if this worker observed the death. `at` is the time of the last one, in
    epoch seconds. Several prompts of the graph may be lost in one death.
    """

    crashes: dict[str, bool] = field(default_factory=dict)
    at: float = 0.0
    cause: str = ""
    """How ComfyUI ended the last time, and at which node if that is known."""
    prompts: dict[str, str] = field(default_factory=dict)
    """The name of the death in which each prompt was lost, by prompt id. A prompt counts once."""

    @property
    def is_blocked(self) -> bool:
        """Whether jobs with this graph are not run for now."""
        return sum(self.crashes.values()) >= MOST_OBSERVED or len(self.crashes) >= MOST_IN_ALL

    def add(self, prompt_id: str, death: str, *, observed: bool) -> None:
        """Record that a prompt was lost in a death. A prompt that was recorded before stays with its first death."""
        first_death = self.prompts.setdefault(prompt_id, death)
        self.crashes[first_death] = observed or self.crashes.get(first_death, False)


def fingerprint(request: JobRequest) -> str:
    """Return the hash of a job's graph without titles, and of its input files."""
    graph = {
        node_id: {key: value for key, value in node.items() if key != "_meta"}
        for node_id, node in request.prompt.items()
    }
    digest = hashlib.sha256(orjson.dumps(graph, option=orjson.OPT_SORT_KEYS))
    for file in request.inputs:
        digest.update(file.name.encode() + b"\0" + bytes.fromhex(file.sha256))
    return digest.hexdigest()


class CrashHistory:
    """The crash records in a small file that is written at each crash.

    Without the file, one job could end one process of the worker after another.
    """

    def __init__(self, path: Path, memory_s: float) -> None:
        self._path = path
        self._memory_s = memory_s
        self._records = _read(path)

    def find(self, request: JobRequest) -> CrashRecord | None:
        """Drop expired records, and return the record of this job, or None if there is none."""
        oldest = time.time() - self._memory_s
        self._records = {name: record for name, record in self._records.items() if record.at > oldest}
        return self._records.get(fingerprint(request)) if self._records else None  # the hash takes time

    def add(self, request: JobRequest, prompt_id: str, death: str, *, observed: bool, cause: str = "") -> CrashRecord:
        """Record that a prompt of this job was lost in a death, and return the job's record."""
        record = self._records.setdefault(fingerprint(request), CrashRecord())
        record.add(prompt_id, death, observed=observed)
        record.at = time.time()
        record.cause = cause or record.cause
        self._write()
        return record

    def clear(self, request: JobRequest) -> None:
        """Delete the record of a job that has run to its end."""
        if self._records and self._records.pop(fingerprint(request), None) is not None:
            self._write()

    def _write(self) -> None:
        """Write all records to the file. A failure is logged."""
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(orjson.dumps(self._records))
            new.replace(self._path)
        except OSError as error:
            log.warning("the crashes of ComfyUI cannot be stored in %s: %s", self._path, error)


def _read(path: Path) -> dict[str, CrashRecord]:
    """Return the records in the file, by the fingerprints of their graphs. Unreadable ones are logged and dropped."""
    try:
        stored = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("earlier crashes are dropped because %s cannot be read: %s", path, error)
        return {}
    stored_records = stored if isinstance(stored, dict) else {"": stored}  # anything else is one unreadable record
    records = {name: _parsed_record(value) for name, value in stored_records.items()}
    readable = {name: record for name, record in records.items() if record is not None}
    if len(readable) < len(records):
        log.warning(
            "%d of %d crash records in %s cannot be read and are dropped",
            len(records) - len(readable),
            len(records),
            path,
        )
    return readable


def _parsed_record(stored: object) -> CrashRecord | None:
    """Return a stored record, or None for anything else. Fields of later releases are ignored.

    Releases up to 0.2 wrote no `prompts`, and used the prompt's id as the name of its death.
    """
    if not isinstance(stored, dict):
        return None
    crashes, at, cause = stored.get("crashes"), stored.get("at"), stored.get("cause", "")
    if not isinstance(crashes, dict) or not all(isinstance(observed, bool) for observed in crashes.values()):
        return None
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(cause, str):
        return None
    prompts = stored.get("prompts", {prompt_id: prompt_id for prompt_id in crashes})
    if not isinstance(prompts, dict) or not all(isinstance(death, str) for death in prompts.values()):
        return None
    return CrashRecord(crashes, float(at), cause, prompts)

"""Jobs that ComfyUI crashed or hung under: known by what they are, not by their ids, also after a restart."""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from worker.engine.run import Loss
from worker.job import JobRequest

log = logging.getLogger(__name__)

SEEN = 2
"""So many crashes that this worker saw convict a job ..."""
IN_ALL = 3
"""... or so many in all, with those in which the worker died too: that may have been the machine."""
UNSURE = 2
"""A job lost so often while it seemed to wait runs alone: it may have crashed ComfyUI before that said a word."""
Submitted = Callable[[str | None], None]
"""Told the id of a prompt just before it is posted, and None once it was taken out again."""


@dataclass(slots=True)
class Case:
    """What is known of a job on its way through engines that may crash.

    `alone` where the job may be the one that crashes ComfyUI. `freed` once ComfyUI ran out of memory under it.
    """

    request: JobRequest
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False
    prompt_id: str = ""
    """Of the last submission."""
    known_as: str | None = None
    """Of a submission by an earlier life of this worker, which ComfyUI may still have."""

    def begin(self) -> str:
        """Return the id of the next submission.

        Never the job's id: ComfyUI takes UUIDs only, and its worker thread dies of an id used twice.
        """
        self.prompt_id = self.known_as or str(uuid.uuid4())
        return self.prompt_id

    def lost(self, loss: Loss) -> bool:
        """Whether the loss counts against the job; nobody else was inside where it ran alone."""
        counts = loss is Loss.RUNNING or (loss is Loss.WAITING and self.alone)
        self.waiting_losses += loss is Loss.WAITING
        self.alone |= counts or self.waiting_losses >= UNSURE
        return counts


@dataclass(slots=True)
class CrashRecord:
    """The crashes of one job by prompt id, true where this worker saw it; `at` is the last one, in epoch seconds."""

    crashes: dict[str, bool] = field(default_factory=dict)
    at: float = 0.0

    @property
    def convicted(self) -> bool:
        return sum(self.crashes.values()) >= SEEN or len(self.crashes) >= IN_ALL


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

    def add(self, request: JobRequest, prompt_id: str, *, seen: bool) -> CrashRecord:
        """Remember a crash; the same one is not counted twice."""
        record = self._records.setdefault(fingerprint(request), CrashRecord())
        record.crashes[prompt_id] = seen or record.crashes.get(prompt_id, False)
        record.at = time.time()
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
        found: dict[str, dict[str, Any]] = orjson.loads(path.read_bytes())
        return {name: CrashRecord(record["crashes"], record["at"]) for name, record in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("crashes of earlier lives are forgotten: %s can't be read (%s)", path, error)
        return {}

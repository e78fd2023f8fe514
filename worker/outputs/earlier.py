"""Lookup of earlier outputs that a workflow names (`x.png [output]`), if there are several engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from worker.engine.config import EngineConfig
from worker.jobs.job_index import JobIndex
from worker.outputs.files import Outputs, kept_name


class EarlierOutputs:
    """Finds earlier outputs of all engines, so that a job that names one can run on any engine."""

    def __init__(self, jobs: JobIndex, outputs: Outputs, engines: Sequence[EngineConfig]) -> None:
        self._jobs = jobs
        self._outputs = outputs
        self._engines = engines

    def find(self, principal: str, folder: str, name: str) -> Path | None:
        """Return the file with this name in ComfyUI's `folder` (output or temp), or None.

        Engines may have different files of one name. If jobs of the principal have such a file, the one of the
        newest job is returned, otherwise the newest file in the engines' folders. The caller of this method has checked
        that the operator opened these folders.
        """
        path = PurePosixPath(name)
        own_files = self._own_files(principal, folder, path)
        return next(own_files, None) or max(self._engine_files(folder, path), key=_modified_at, default=None)

    def _own_files(self, principal: str, folder: str, path: PurePosixPath) -> Iterator[Path]:
        """Yield the kept files of a caller's jobs with this name, in the order of the job index."""
        for job in self._jobs.of_principal(principal):
            for output in job.outputs:
                if output.folder == folder and PurePosixPath(output.subfolder) == path.parent:
                    kept = self._outputs.folder(job) / kept_name(output.index, path.name)
                    if kept.is_file():
                        yield kept

    def _engine_files(self, folder: str, path: PurePosixPath) -> Iterator[Path]:
        """Yield the files with this name in the folders of all engines."""
        for engine in self._engines:
            root = engine.output if folder == "output" else engine.temp
            if root is not None:
                resolved = (root / path).resolve()
                if resolved.is_relative_to(root.resolve()) and resolved.is_file():
                    yield resolved


def _modified_at(path: Path) -> float:
    return path.stat().st_mtime

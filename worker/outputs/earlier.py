"""Files that a workflow names as earlier outputs (`x.png [output]`), where each of several engines has such folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from worker.engine.config import EngineConfig
from worker.jobs.job_index import JobIndex
from worker.outputs.files import Outputs, kept_name


class EarlierOutputs:
    """Finds them wherever they were made, so that they do not decide where a job runs."""

    def __init__(self, jobs: JobIndex, outputs: Outputs, engines: Sequence[EngineConfig]) -> None:
        self._jobs = jobs
        self._outputs = outputs
        self._engines = engines

    def find(self, principal: str, folder: str, name: str) -> Path | None:
        """Return the file that `name` in `folder` (output or temp) is to a caller, None where there is none.

        Two engines may give two files one name: the caller's own comes first, the newest if there are more. Any other
        file is one that the operator opened to all.
        """
        place = PurePosixPath(name)
        own = self._own(principal, folder, place)
        return next(own, None) or max(self._shared(folder, place), key=_age_key, default=None)

    def _own(self, principal: str, folder: str, place: PurePosixPath) -> Iterator[Path]:
        for job in self._jobs.of_principal(principal):
            for output in job.outputs:
                if output.folder == folder and PurePosixPath(output.subfolder) == place.parent:
                    path = self._outputs.folder(job) / kept_name(output.index, place.name)
                    if path.is_file():
                        yield path

    def _shared(self, folder: str, place: PurePosixPath) -> Iterator[Path]:
        for engine in self._engines:
            root = engine.output if folder == "output" else engine.temp
            if root is not None:
                path = (root / place).resolve()
                if path.is_relative_to(root.resolve()) and path.is_file():
                    yield path


def _age_key(path: Path) -> float:
    return path.stat().st_mtime

"""Knows the sizes of model files and of their parts, which the runs of nodes do not tell."""

from __future__ import annotations

from worker.load.learning.load_times import Part, part_of
from worker.load.node_work import JobWork

UNKNOWN_BYTES = 2e9
"""Assumed size of a model file of unknown size."""
MAX_FILES = 2000
SHARES = {Part.MODEL: 0.75, Part.TEXT_ENCODER: 0.2, Part.VAE: 0.05}
"""Shares of the parts of a checkpoint, roughly."""


class FileSizes:
    """The sizes of the model files that jobs named, and the parts of them that were used."""

    def __init__(self) -> None:
        self._sizes: dict[str, float] = {}
        self._parts: dict[str, set[Part]] = {}

    def remember(self, work: JobWork) -> None:
        """Remember the files of a job."""
        if len(self._sizes) > MAX_FILES or len(self._parts) > MAX_FILES:
            self._sizes.clear()
            self._parts.clear()
        self._sizes.update(work.model_bytes)
        for node in work.nodes:
            for file in node.models:
                self._parts.setdefault(file, set()).add(part_of(node.kind))

    def of(self, file: str) -> float:
        """Return the size of a file."""
        return self._sizes.get(file, UNKNOWN_BYTES)

    def parts(self, file: str) -> dict[Part, float]:
        """Return the sizes of the parts of a file that jobs use."""
        parts = self._parts.get(file) or {Part.MODEL}
        whole = sum(SHARES[part] for part in parts)
        return {part: self.of(file) * SHARES[part] / whole for part in parts}

    def of_part(self, file: str, part: Part) -> float:
        """Return the size of a part of a file."""
        return self.parts(file).get(part, self.of(file))

    def is_minor(self, file: str, part: Part) -> bool:
        """Return whether a part is a small one of a checkpoint, whose size is only a guess."""
        return part is not Part.MODEL and len(self._parts.get(file, ())) > 1

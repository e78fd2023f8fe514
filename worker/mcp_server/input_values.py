"""Values of an agent that stand for a file: outputs of earlier jobs, and files of a folder on this machine."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.errors import Failure
from worker.mcp_server.job_memory import JobMemory

OUTPUT_URI = re.compile(r"comfy://jobs/(?P<job>[A-Za-z0-9_:@+-][A-Za-z0-9_.:@+-]{0,127})/outputs/(?P<index>[0-9]{1,9})")
FILE_PREFIX = "file:"
MOST_FILE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class InputValues:
    """Converts the values of one caller to those of the native API.

    `files` is the folder whose files may be sent, if there is one. Reading a file blocks.
    """

    memory: JobMemory
    caller: str
    files: Path | None = None

    def converted(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a JSON value with each URI of an output and each `file:NAME` replaced. Raises Failure."""
        if isinstance(value, dict):
            return {name: self.converted(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.converted(item) for item in value]
        if not isinstance(value, str):
            return value
        if match := OUTPUT_URI.fullmatch(value):
            job = self.memory.find(self.caller, match["job"])
            token = {"token": job.token} if job.token else {}
            return {"job": job.id, "output": int(match["index"]), **token}
        return self._content(value) if value.startswith(FILE_PREFIX) and "\n" not in value else value

    def _content(self, value: str) -> str:
        """Return the file that `file:NAME` names, as base64. A name outside the folder is not read. Raises Failure."""
        if self.files is None:
            message = (
                f"{value[:200]}: this server sends no files of its machine, because it was started without --files"
            )
            raise Failure("file_not_allowed", message, step="Send the file as a URL or as base64.")
        folder = self.files.resolve()
        try:
            path = (folder / value.removeprefix(FILE_PREFIX).removeprefix("//")).resolve()
            if not path.is_relative_to(folder):
                raise Failure("file_not_allowed", f"{value[:200]} is outside the folder {folder}")
            if path.stat().st_size > MOST_FILE_BYTES:
                raise Failure("input_too_large", f"{value[:200]} has more than {MOST_FILE_BYTES // 1024**2} MiB")
            return base64.b64encode(path.read_bytes()).decode()
        except (OSError, ValueError) as error:
            message = f"{value[:200]} cannot be read in {folder}: {getattr(error, 'strerror', None) or error}"
            raise Failure("file_unreadable", message, step="Use the name of a file in that folder.") from error

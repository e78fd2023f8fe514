"""Output files in the result of a job, for callers that want URLs or one file instead of base64."""

from __future__ import annotations

import base64
import binascii
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from worker.bodies import in_thread
from worker.errors import NotFound
from worker.proxy.job import ProxyJob, RemoteResult
from worker.proxy.results.result_store import PART, ResultStore

log = logging.getLogger(__name__)

OUTPUT_LISTS = ("outputs", "output", "images", "videos", "audio", "files")
"""Fields of a result with lists of outputs, in all dialects."""
ANY_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One output of a job, as a file on this machine or at a URL of a bucket. `text` is that of an output of text."""

    filename: str
    mime: str
    kind: str
    path: Path | None = None
    url: str = ""
    text: str | None = None


class JobOutputs:
    """Writes the outputs of results to files when they are requested first."""

    def __init__(self, results: ResultStore) -> None:
        self._results = results

    async def with_urls(self, job: ProxyJob, result: RemoteResult) -> RemoteResult:
        """Return a result of the native dialect with paths of this proxy in place of base64.

        A path becomes a URL when the response is sent, because the host depends on the client.
        """
        return await in_thread(partial(self._with_urls, job, result))

    async def all(self, job: ProxyJob) -> list[OutputFile]:
        """Return the outputs of a job that has succeeded, in the order of its result."""
        return await in_thread(partial(self._all, job))

    async def output(self, job: ProxyJob, index: str) -> OutputFile:
        """Return the output with this index. Raises NotFound."""
        outputs = await self.all(job) if job.result is not None and job.result.status < 400 else []
        if not (index.isascii() and index.isdigit() and len(index) < 10 and int(index) < len(outputs)):
            raise NotFound(f"job {job.id!r} has no output {index[:80]!r}")
        return outputs[int(index)]

    def _with_urls(self, job: ProxyJob, result: RemoteResult) -> RemoteResult:
        value = orjson.loads(_content(result))
        for index, item in enumerate(_items(value)):
            if isinstance(item.get("data"), str):
                self._write(job, index, item.pop("data"))
                item["url"] = f"/jobs/{job.id}/outputs/{index}?token={job.token}"
        image = next((item for item in _items(value) if item.get("kind") == "image"), None)
        if image is not None:
            value["image"] = image.get("url", value.get("image"))
        data = orjson.dumps(value)
        if result.path is not None:
            result.path.write_bytes(data)
        return RemoteResult(result.status, len(data), result.content_type, data, result.path)

    def _all(self, job: ProxyJob) -> list[OutputFile]:
        if job.result is None:
            return []
        items = _items(orjson.loads(_content(job.result)))
        return [self._output(job, index, item) for index, item in enumerate(items)]

    def _output(self, job: ProxyJob, index: int, item: dict[str, Any]) -> OutputFile:
        """Return one output, with its file if the result contains it."""
        data, url = item.get("data"), str(item.get("url") or "")
        if item.get("type") == "s3_url":
            data, url = None, str(item.get("data"))
        path = self._results.outputs_folder(job.key) / str(index)
        if isinstance(data, str) and not path.exists():
            self._write(job, index, data)
        mime = str(item.get("mime") or item.get("mimetype") or ANY_TYPE)
        name, text = str(item.get("filename") or f"output-{index}"), item.get("text")
        return OutputFile(name, mime, str(item.get("kind", "")), path if path.exists() else None, url, text)

    def _write(self, job: ProxyJob, index: int, data: str) -> None:
        """Write the file of an output. It appears when it is complete."""
        folder, job.has_files = self._results.outputs_folder(job.key), True
        folder.mkdir(parents=True, exist_ok=True)
        partial_path = folder / f"{index}.{uuid.uuid4().hex}{PART}"  # two requests may write it at the same time
        try:
            partial_path.write_bytes(base64.b64decode(data, validate=True))
            partial_path.replace(folder / str(index))
        except binascii.Error:  # the file has no content that could be sent
            log.warning("output %d of job %s is no base64", index, job.key)
        finally:
            partial_path.unlink(missing_ok=True)


def _content(result: RemoteResult) -> bytes:
    """Return the body of a result."""
    if result.data is not None:
        return result.data
    return result.path.read_bytes() if result.path is not None else b"{}"


def _items(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the outputs in a result, in the order of their indexes."""
    return list(_find_items(value)) if isinstance(value, dict) else []


def _find_items(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in OUTPUT_LISTS:
        items = value.get(name)
        if isinstance(items, list):
            yield from (item for item in items if isinstance(item, dict))

"""The result of RunPod's worker-comfyui in the form of another dialect, as far as it has the facts. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from worker.backends.runpod.whole_result import HttpResult, error_of
from worker.dialects import BY_NAME, NATIVE, RUNPOD, VAST
from worker.errors import JobError, WorkerError

Fields = dict[str, Any]


def stock_result(answer: Mapping[str, Any], dialect: str) -> HttpResult:
    """Return the result in the status object of a job that has ended.

    The image reports an error as a text, without node and code, so it becomes `job_failed`.
    """
    output = answer.get("output")
    if answer.get("status") == "COMPLETED" and isinstance(output, Mapping) and "error" not in output:
        return HttpResult(200, _completed(answer, output, dialect))
    error, status = _error(answer, output)
    body = BY_NAME.get(dialect, NATIVE).failed(str(answer.get("id", "")), error)
    return HttpResult(status, body)


def _completed(answer: Mapping[str, Any], output: Mapping[str, Any], dialect: str) -> Any:  # noqa: ANN401 - JSON
    """Return the body for a job that succeeded."""
    images = output.get("images")
    files = [image for image in images if isinstance(image, Mapping)] if isinstance(images, Sequence) else []
    if dialect == RUNPOD.name:
        return dict(output)
    if dialect == VAST.name:
        return _stock_vast(answer, files)
    outputs = [_native_output(number, file) for number, file in enumerate(files)]
    first = outputs[0] if outputs else {}
    times = {"generation_time": _seconds(answer, "executionTime"), "queue_time": _seconds(answer, "delayTime")}
    body: Fields = {"status": "success", "id": answer.get("id"), "image": first.get("data") or first.get("url")}
    problems = output.get("errors") or []
    body |= {"problems": [{"message": str(text)} for text in problems]} if problems else {}
    return {**body, "outputs": outputs, "metadata": times}


def _native_output(index: int, file: Mapping[str, Any]) -> Fields:
    """Return an output of the native dialect. The image does not say which node made it."""
    name, content = str(file.get("filename", "")), str(file.get("data", ""))
    fields: Fields = {"index": index, "node_id": "", "kind": "image", "filename": name.rpartition("/")[2]}
    fields["mime"] = mimetypes.guess_type(name)[0] or "image/png"
    if file.get("type") == "s3_url":
        return {**fields, "url": content}
    try:
        data = base64.b64decode(content)
    except (binascii.Error, ValueError):
        data = b""
    return {**fields, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "data": content}


def _stock_vast(answer: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> Fields:
    """Return the body of Vast's template."""
    shared = {"local_path": "", "type": "output", "subfolder": "", "node_id": "", "output_type": "images"}
    outputs = [
        {**shared, "filename": file.get("filename"), "url" if file.get("type") == "s3_url" else "data": file["data"]}
        for file in files
        if "data" in file
    ]
    fields = {"id": answer.get("id"), "message": "Processing complete.", "status": "completed"}
    return {**fields, "comfyui_response": {}, "output": outputs, "timings": {}}


def _error(answer: Mapping[str, Any], output: object) -> tuple[WorkerError, int]:
    """Return the error of a job that did not succeed, and its HTTP status."""
    text = answer.get("error")
    if text is None and isinstance(output, Mapping):
        text = output.get("error")
    if answer.get("status") in {"CANCELLED", "TIMED_OUT"} or text is None:
        return error_of(answer)
    details = output.get("details") if isinstance(output, Mapping) else None
    more = "; ".join(map(str, details)) if isinstance(details, list) else ""
    error = JobError(f"{text}: {more}" if more else str(text))
    return error, error.status


def _seconds(answer: Mapping[str, Any], name: str) -> float:
    """Return a duration of a status object in seconds, 0 if it is missing."""
    value = answer.get(name)
    return round(value / 1000, 3) if isinstance(value, int | float) else 0.0

"""References to an output of an earlier job: `{"job": id, "output": n}`, or the worker's own URL of the output.

Objects are converted to texts with the scheme `job-output://` when a request is read, so that the rest of the code
handles them like names and URLs. This module does not look up the output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BeforeValidator, WithJsonSchema

from worker.bodies import Content

SCHEME = "job-output"
REFERENCE = re.compile(
    SCHEME + r"://(?P<job>[\w.:@+-]{1,128})/(?P<output>[0-9]{1,9})(?:\?token=(?P<token>[\w-]{1,128}))?", re.ASCII
)
PATH = re.compile(r"/jobs/(?P<job>[^/]{1,400})/outputs/(?P<output>[0-9]{1,9})$")
MOST_OUTPUTS = 10**9
KEYS = frozenset({"job", "output", "token"})
JOB_ID = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
TOKEN = re.compile(r"[\w-]{1,128}", re.ASCII)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS = {"http": 80, "https": 443}
SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "description": "An output of an earlier job of yours on this worker, by its `index`.",
            "properties": {
                "job": {"type": "string", "pattern": "^[A-Za-z0-9_.:@+-]{1,128}$"},
                "output": {"type": "integer", "minimum": 0, "maximum": MOST_OUTPUTS - 1},
                "token": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9_-]{1,128}$",
                    "description": "The token of that job. Needed if another caller sent it.",
                },
            },
            "required": ["job", "output"],
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True, slots=True)
class OutputReference:
    """A parsed reference to an output.

    `certain` is False for a URL of another host. Such a URL means this worker only if its token is valid here.
    """

    job_id: str
    index: int
    token: str
    certain: bool


def is_reference(value: object) -> bool:
    """Return True for an object with the keys of an output reference. Its values are not checked."""
    return isinstance(value, Mapping) and {"job", "output"} <= value.keys() <= KEYS


def reference_text(value: Mapping[str, Any]) -> str:
    """Return the `job-output://` text for an output reference. Raises ValueError for a bad job, index or token."""
    job, output, token = value["job"], value["output"], value.get("token")
    if not isinstance(job, str) or not JOB_ID.fullmatch(job):
        raise ValueError("'job' of an earlier output must be the id of a job")
    if isinstance(output, bool) or not isinstance(output, int) or not 0 <= output < MOST_OUTPUTS:
        raise ValueError("'output' of an earlier output must be its index, an integer from 0")
    if token is not None and not (isinstance(token, str) and TOKEN.fullmatch(token)):
        raise ValueError("'token' of an earlier output must be the token of its job")
    return f"{SCHEME}://{job}/{output}" + (f"?token={token}" if token else "")


def has_reference(value: object) -> bool:
    """Return True if a JSON value contains an output reference at any depth."""
    pending = [value]  # iterative, because a client may nest lists deeper than Python's recursion limit
    while pending:
        item = pending.pop()
        if is_reference(item):
            return True
        if isinstance(item, dict | list):
            pending += item.values() if isinstance(item, dict) else item
    return False


def with_reference_texts(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value with each output reference replaced by its text. Raises ValueError for a bad reference."""
    if is_reference(value):
        return reference_text(value)
    if isinstance(value, dict):
        return {name: with_reference_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_reference_texts(item) for item in value]
    return value


InputContent = Annotated[Content, BeforeValidator(with_reference_texts), WithJsonSchema(SCHEMA)]
"""Type of a pydantic field that holds a file: base64, a data URI, a URL, or a reference to an earlier output."""


def is_reference_text(text: str) -> bool:
    """Return True for a text that `reference_text` returned."""
    return bool(REFERENCE.fullmatch(text))


def parse_reference(text: str, base_url: str) -> OutputReference | None:
    """Return the output reference that a text is. Return None if it is neither a reference nor the URL of an output.

    `base_url` is the URL by which the caller reaches this worker.
    """
    if match := REFERENCE.fullmatch(text):
        return OutputReference(match["job"], int(match["output"]), match["token"] or "", certain=True)
    if not text.lower().startswith(("http://", "https://")):
        return None
    try:
        url = urlsplit(text)
        match = PATH.search(url.path)
        if match is None:
            return None
        token = parse_qs(url.query, max_num_fields=8).get("token", [""])[-1]
        certain = _host_and_port(text) == _host_and_port(base_url)
        return OutputReference(unquote(match["job"]), int(match["output"]), token, certain)
    except ValueError:
        return None


def _host_and_port(url_text: str) -> tuple[str, int | None]:
    """Return host and port of a URL. All loopback names count as one host. Raises ValueError."""
    url = urlsplit(url_text)
    host = (url.hostname or "").rstrip(".")
    return "localhost" if host in LOOPBACK else host, url.port or PORTS.get(url.scheme.lower())

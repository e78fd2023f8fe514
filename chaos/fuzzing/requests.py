"""Strategies for whole requests: work in every dialect, and every route of the worker's own OpenAPI document."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import orjson
from hypothesis import strategies as st
from PIL import Image

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.graphs import INPUT_FILE, Grammar, graphs
from chaos.fuzzing.limits import raw_form
from chaos.fuzzing.mutate import JUNK, PATHS, Body, neighbour
from chaos.fuzzing.schema import Schemas, Strategy

WORK = ("/generate/sync", "/generate/sync", "/generate", "/generate/stream")
FORMS = 0.03
"""Share of the requests for work that are forms."""
CLOSED = {"Connection": "close"}
"""Where a body can't be read to its end, nothing may follow it on the same connection."""
HEADERS: tuple[Mapping[str, str], ...] = (
    *({"Content-Type": "application/json"},) * 80,
    {"Content-Type": "multipart/form-data", **CLOSED},
    {"Content-Type": "multipart/form-data; boundary=x", **CLOSED},
    {"Content-Type": "text/plain; charset=utf-16"},
    {"Content-Type": "application/json; charset=nonsense"},
    {"Content-Type": "a" * 300},
    {"Content-Encoding": "gzip", **CLOSED},
    {"Content-Encoding": "deflate", **CLOSED},
    {"Content-Encoding": "nonsense", **CLOSED},
    {"Last-Event-ID": "-1"},
    {"Last-Event-ID": "9" * 40},
    {"Last-Event-ID": "9" * 5000},
    {"Last-Event-ID": "²"},
    {"Range": "bytes=5-2"},
    {"Range": "bytes=99999999-"},
    {"If-Match": "x"},
    {"Expect": "nonsense", **CLOSED},
    {"Idempotency-Key": "../" * 9},
    {"Idempotency-Key": "x" * 300},
    {"Origin": "null"},
    {"Origin": "https://evil.example, http://127.0.0.1"},
    {"Origin": "", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Host": 'evil"><script>'},
    {"Host": "[::ffff:127.0.0.1%25lo]:99999", "X-Forwarded-Host": "evil, \x80"},
)
STRANGERS: tuple[str, ...] = ("", "Bearer", "Bearer x", "Basic eDp5", "Bearer " + "y" * 4000, "bearer \t", "\x80")
SECRETS = ("access_key_id", "secret_access_key", "session_token", "secret")


@dataclass(slots=True)
class Pot:
    """What requests are made of: jobs that were accepted (id, token), secrets that were planted, a running number."""

    urls: tuple[str, ...]
    jobs: list[tuple[str, str]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number

    def secret(self) -> str:
        """One that nobody may ever read again."""
        secret = f"canary-{self.next():08d}"
        self.secrets.add(secret)
        return secret

    def accepted(self, job_id: str, token: str) -> None:
        self.secrets.add(token)
        self.jobs.append((job_id, token))
        del self.jobs[:-200]


RARE = (
    *("s3", "s3Config", "put_urls", "webhook", "id", "prompt", "prompt_id"),
    *("number", "front", "partial_execution_targets"),
)
INPUT_NAMES = (
    (INPUT_FILE,),
    (INPUT_FILE, "b.bin"),
    (INPUT_FILE, f"a/{INPUT_FILE}"),
    (f"a/{INPUT_FILE}",),
    (f"{INPUT_FILE} [input]", f"{INPUT_FILE} [output]", "clipspace/b.png"),
)
"""Names of a request's files: the workflows load the first one, however it is written."""
BY_WORKFLOW = {"template": st.none(), "params": st.builds(dict)}
"""Templates are few and fixed; what is generated here are workflows."""


def bodies(document: Mapping[str, Any], grammar: Grammar) -> Strategy:
    """Requests for work that fit the schemas of the three dialects, with workflows that fit the catalog."""
    workflow = graphs(grammar)
    schemas = Schemas(
        document["components"]["schemas"],
        {
            "workflow": workflow,
            "workflow_json": workflow,
            "inputs": st.sampled_from([dict.fromkeys(names, PICTURE) for names in INPUT_NAMES]),
            "images": st.sampled_from([[{"name": name, "image": PICTURE} for name in names] for names in INPUT_NAMES]),
            "timeout_s": st.none() | st.floats(0.5, 100.0),
            # What most clients leave alone; schema-driven values of these rarely get past the first check.
            **{name: st.none() for name in RARE},
            "request_id": st.just(""),
            "modifier": st.just(""),
            **BY_WORKFLOW,
            "output": st.sampled_from([None, {"format": "webp", "quality": 70}, {"metadata": "strip"}]),
        },
        always=("workflow", "workflow_json", "inputs", "images"),
    )
    known = {"workflow": workflow, "workflow_json": workflow, "modifier": st.just(""), **BY_WORKFLOW}
    wild = Schemas(document["components"]["schemas"], known, always=("workflow", "workflow_json"))
    names = ("NativeRequest", "NativeRequest", "VastRequest", "RunpodRequest")
    usual = [schemas.named(name).map(_with_file) for name in names]
    return st.one_of(*usual, *usual, *usual, *usual, *usual, *(wild.named(name) for name in names[1:]))


def _with_file(body: Body) -> Body:
    """The stock shape has no place for files but the workflow itself."""
    stock = body.get("input", {})
    if "workflow_json" in stock:
        text = orjson.dumps(stock["workflow_json"]).replace(
            INPUT_FILE.encode(), f"data:image/png;base64,{PICTURE}".encode()
        )
        stock["workflow_json"] = orjson.loads(text)
    return body


def batch(body: Body, seed: int, size: int, pot: Pot) -> list[FuzzRequest]:
    """The neighbours of one drawn request, each by a route of its own."""
    random = Random(seed)
    made = []
    for _ in range(size):
        data = neighbour(_planted(body, pot), random, pot.next(), pot.urls)
        headers, path = random.choice(HEADERS), random.choice(WORK)
        form = random.random() < FORMS
        made.append(raw_form(data, path, random) if form else FuzzRequest("POST", path, data, headers))
    return made


def routes(document: Mapping[str, Any], seed: int, pot: Pot, body: Body) -> list[FuzzRequest]:
    """Each route of the document once, and some that aren't in it."""
    random = Random(seed)
    made = []
    for path, methods in document["paths"].items():
        if path in WORK:
            continue
        method = random.choice((*methods, *methods, *methods, "get", "put", "patch", "options", "head")).upper()
        made.append(_routed(method, path, random, pot, body))
    unknown = quote(random.choice(PATHS), safe="./%") or "x"
    return [
        *made,
        FuzzRequest("GET", f"/{unknown}", kind="nowhere"),
        FuzzRequest("POST", f"/jobs/{unknown}/x", kind="nowhere"),
    ]


def _routed(method: str, path: str, random: Random, pot: Pot, body: Body) -> FuzzRequest:
    job_id, token = random.choice(pot.jobs) if pot.jobs and random.random() < 0.8 else (_strange(random), "none")
    index = random.choice(("0", "0", "0", "1", "-1", "x", "00", "9" * 30, "../0"))
    filled = path.replace("{id}", quote(job_id, safe="")).replace("{n}", quote(index, safe=""))
    headers = dict(random.choice(HEADERS))
    match random.randrange(4):
        case 0:
            headers["Authorization"] = f"Bearer {token}"
        case 1:
            filled += f"?token={quote(token)}"
        case 2:
            headers["Authorization"] = random.choice(STRANGERS)
    data = neighbour(body, random, pot.next(), pot.urls) if method in {"POST", "PUT", "PATCH"} else b""
    return FuzzRequest(method, filled, data, headers, kind=path)


def _strange(random: Random) -> str:
    return str(random.choice((*PATHS, *JUNK)))[:200] or "x"


def _planted(body: Body, pot: Pot) -> Body:
    """With a secret of its own wherever a request may carry one."""
    return {name: _with_secrets(name, value, pot) for name, value in body.items()}


def _with_secrets(name: str, value: Any, pot: Pot) -> Any:  # noqa: ANN401 - JSON
    if name in SECRETS and isinstance(value, str):
        return f"whsec_{base64.b64encode(pot.secret().encode()).decode()}" if name == "secret" else pot.secret()
    if name in {"url", "endpoint_url"} and isinstance(value, str):
        return pot.urls[pot.number % len(pot.urls)]
    if isinstance(value, dict) and name not in {"workflow", "workflow_json"}:
        return {inner: _with_secrets(inner, one, pot) for inner, one in value.items()}
    return value


def _picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURE = _picture()

"""Strategies for whole requests: jobs in every dialect, and all routes of the worker's own OpenAPI document."""

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
from chaos.fuzzing.limit_values import raw_form
from chaos.fuzzing.request_mutations import JUNK, PATHS, Body, variant
from chaos.fuzzing.schema import Schemas, Strategy
from chaos.fuzzing.workflow_grammar import INPUT_FILE, WorkflowGrammar, graphs

JOB_ROUTES = ("/generate/sync", "/generate/sync", "/generate", "/generate/stream")
FORM_SHARE = 0.03
"""Share of the jobs that are sent as forms."""
CLOSE = {"Connection": "close"}
"""Headers of requests whose body cannot be read to its end, so that the connection cannot be used again."""
HEADERS: tuple[Mapping[str, str], ...] = (
    *({"Content-Type": "application/json"},) * 80,
    {"Content-Type": "multipart/form-data", **CLOSE},
    {"Content-Type": "multipart/form-data; boundary=x", **CLOSE},
    {"Content-Type": "text/plain; charset=utf-16"},
    {"Content-Type": "application/json; charset=nonsense"},
    {"Content-Type": "a" * 300},
    {"Content-Encoding": "gzip", **CLOSE},
    {"Content-Encoding": "deflate", **CLOSE},
    {"Content-Encoding": "nonsense", **CLOSE},
    {"Last-Event-ID": "-1"},
    {"Last-Event-ID": "9" * 40},
    {"Last-Event-ID": "9" * 5000},
    {"Last-Event-ID": "²"},
    {"Range": "bytes=5-2"},
    {"Range": "bytes=99999999-"},
    {"If-Match": "x"},
    {"Expect": "nonsense", **CLOSE},
    {"Idempotency-Key": "../" * 9},
    {"Idempotency-Key": "x" * 300},
    {"Origin": "null"},
    {"Origin": "https://evil.example, http://127.0.0.1"},
    {"Origin": "", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Host": 'evil"><script>'},
    {"Host": "[::ffff:127.0.0.1%25lo]:99999", "X-Forwarded-Host": "evil, \x80"},
)
WRONG_AUTHORIZATIONS: tuple[str, ...] = (
    "",
    "Bearer",
    "Bearer x",
    "Basic eDp5",
    "Bearer " + "y" * 4000,
    "bearer \t",
    "\x80",
)
SECRET_FIELDS = ("access_key_id", "secret_access_key", "session_token", "secret")


@dataclass(slots=True)
class FuzzState:
    """The state that requests are made from: accepted jobs (id, token), planted secrets and a running number."""

    urls: tuple[str, ...]
    jobs: list[tuple[str, str]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    number: int = 0

    def next_number(self) -> int:
        """Return the next running number."""
        self.number += 1
        return self.number

    def plant_secret(self) -> str:
        """Return a new secret, which no log may contain."""
        secret = f"canary-{self.next_number():08d}"
        self.secrets.add(secret)
        return secret

    def add_job(self, job_id: str, token: str) -> None:
        """Record an accepted job. Only the latest 200 are kept."""
        self.secrets.add(token)
        self.jobs.append((job_id, token))
        del self.jobs[:-200]


USUALLY_ABSENT = (
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
"""Names of a request's input files. The workflows load the first one, in any spelling."""
NO_TEMPLATE = {"template": st.none(), "params": st.builds(dict)}
"""Fields of templates, which the generated requests do not use."""


def bodies(document: Mapping[str, Any], grammar: WorkflowGrammar) -> Strategy:
    """Return a strategy for bodies that match the schemas of the three dialects, with workflows of the catalog."""
    workflow = graphs(grammar)
    schemas = Schemas(
        document["components"]["schemas"],
        {
            "workflow": workflow,
            "workflow_json": workflow,
            "inputs": st.sampled_from([dict.fromkeys(names, IMAGE) for names in INPUT_NAMES]),
            "images": st.sampled_from([[{"name": name, "image": IMAGE} for name in names] for names in INPUT_NAMES]),
            "timeout_s": st.none() | st.floats(0.5, 100.0),
            # Most clients omit these, and random values for them rarely pass the first check.
            **{name: st.none() for name in USUALLY_ABSENT},
            "request_id": st.just(""),
            "modifier": st.just(""),
            **NO_TEMPLATE,
            "output": st.sampled_from([None, {"format": "webp", "quality": 70}, {"metadata": "strip"}]),
        },
        always=("workflow", "workflow_json", "inputs", "images"),
    )
    overrides = {"workflow": workflow, "workflow_json": workflow, "modifier": st.just(""), **NO_TEMPLATE}
    unrestricted = Schemas(document["components"]["schemas"], overrides, always=("workflow", "workflow_json"))
    names = ("NativeRequest", "NativeRequest", "VastRequest", "RunpodRequest")
    usual_bodies = [schemas.named(name).map(_with_file) for name in names]
    return st.one_of(*usual_bodies * 5, *(unrestricted.named(name) for name in names[1:]))


def _with_file(body: Body) -> Body:
    """Put the input file into the workflow of the Vast dialect, which has no other field for it."""
    vast_input = body.get("input", {})
    if "workflow_json" in vast_input:
        text = orjson.dumps(vast_input["workflow_json"]).replace(
            INPUT_FILE.encode(), f"data:image/png;base64,{IMAGE}".encode()
        )
        vast_input["workflow_json"] = orjson.loads(text)
    return body


def variants(body: Body, seed: int, count: int, state: FuzzState) -> list[FuzzRequest]:
    """Return variants of one drawn request, each on a random route."""
    random = Random(seed)
    requests = []
    for _ in range(count):
        data = variant(_with_planted_secrets(body, state), random, state.next_number(), state.urls)
        headers, path = random.choice(HEADERS), random.choice(JOB_ROUTES)
        is_form = random.random() < FORM_SHARE
        requests.append(raw_form(data, path, random) if is_form else FuzzRequest("POST", path, data, headers))
    return requests


def route_requests(document: Mapping[str, Any], seed: int, state: FuzzState, body: Body) -> list[FuzzRequest]:
    """Return one request for each route of the document, and some for routes that do not exist."""
    random = Random(seed)
    requests = []
    for path, methods in document["paths"].items():
        if path in JOB_ROUTES:
            continue
        method = random.choice((*methods, *methods, *methods, "get", "put", "patch", "options", "head")).upper()
        requests.append(_route_request(method, path, random, state, body))
    unknown = quote(random.choice(PATHS), safe="./%") or "x"
    return [
        *requests,
        FuzzRequest("GET", f"/{unknown}", kind="nowhere"),
        FuzzRequest("POST", f"/jobs/{unknown}/x", kind="nowhere"),
    ]


def _route_request(method: str, path: str, random: Random, state: FuzzState, body: Body) -> FuzzRequest:
    """Return a request for one route, with the id and token of an accepted job or with wrong ones."""
    job_id, token = random.choice(state.jobs) if state.jobs and random.random() < 0.8 else (_wrong_id(random), "none")
    index = random.choice(("0", "0", "0", "1", "-1", "x", "00", "9" * 30, "../0"))
    url = path.replace("{id}", quote(job_id, safe="")).replace("{n}", quote(index, safe=""))
    headers = dict(random.choice(HEADERS))
    match random.randrange(4):
        case 0:
            headers["Authorization"] = f"Bearer {token}"
        case 1:
            url += f"?token={quote(token)}"
        case 2:
            headers["Authorization"] = random.choice(WRONG_AUTHORIZATIONS)
    data = variant(body, random, state.next_number(), state.urls) if method in {"POST", "PUT", "PATCH"} else b""
    return FuzzRequest(method, url, data, headers, kind=path)


def _wrong_id(random: Random) -> str:
    """Return text that is not the id of a job."""
    return str(random.choice((*PATHS, *JUNK)))[:200] or "x"


def _with_planted_secrets(body: Body, state: FuzzState) -> Body:
    """Return the body with new secrets in all fields that may contain one."""
    return {name: _with_secrets(name, value, state) for name, value in body.items()}


def _with_secrets(name: str, value: Any, state: FuzzState) -> Any:  # noqa: ANN401 - JSON
    """Return the value of a field with planted secrets and forbidden URLs."""
    if name in SECRET_FIELDS and isinstance(value, str):
        return (
            f"whsec_{base64.b64encode(state.plant_secret().encode()).decode()}"
            if name == "secret"
            else state.plant_secret()
        )
    if name in {"url", "endpoint_url"} and isinstance(value, str):
        return state.urls[state.number % len(state.urls)]
    if isinstance(value, dict) and name not in {"workflow", "workflow_json"}:
        return {key: _with_secrets(key, inner, state) for key, inner in value.items()}
    return value


def _image() -> str:
    """Return a small PNG as base64."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


IMAGE = _image()

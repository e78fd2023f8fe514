"""The fuzz run: a hundred thousand requests, most of them malformed as a confused or hostile client would send them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.fuzzing.attack_cost import AttackPlan, measure_attack
from chaos.fuzzing.flood import FloodPlan, flood
from chaos.fuzzing.fuzz_sender import FuzzSender, ResponseTally
from chaos.fuzzing.request_strategies import FuzzState
from chaos.log_checks import file_stamps, leaked_secrets, unhandled_exceptions
from chaos.reliability_page import Chapter
from chaos.testbed.forbidden_server import ForbiddenServer, forbidden_urls
from chaos.testbed.sdk_worker import SdkRequestWrapper, sdk_testbed
from chaos.testbed.worker_testbeds import OPERATOR, TOKEN, external_engine_testbed

TEXT = """\
`make fuzz` sends requests that hypothesis draws from the schemas of the worker's own OpenAPI document, with workflows
drawn from the catalog so that every link fits. For each request it sends variants: most of them differ only in the
seed, and the others are wrong in one to three places (another type, up to 1,000 levels, names of 232 to 262 bytes,
Unicode digits). Some are not even JSON, and some are forms of raw bytes. Every route of the document is requested
with ids, tokens, headers and methods of every kind. The requests go to the gateway and, signed as Vast's router signs
them, to the SDK's worker. A prompt has reached the engine when it was posted to it. Secrets are planted as the
operator's token, tokens of jobs, storage keys, webhook secrets, fetch credentials and Vast's master token. The logs
are written at level debug and searched for all of them. At the end clients without a signature attack the SDK's port
with bodies, some of which never end, and with connections that never send a request. A pause is the time until a
small request is answered, without the time for which the system ran neither process."""
FETCH_SECRET = "canary-fetch-credential"  # noqa: S105 - planted, so that the logs can be searched for it
SETTINGS = {
    "WORKER_LOG_LEVEL": "debug",
    "WORKER_RESULT_TTL": "20",
    "WORKER_JOB_TIMEOUT": "20",
    "WORKER_HANGUP_GRACE": "0.5",
    "WORKER_MAX_BODY_MIB": "4",
    "WORKER_MAX_QUEUE": "60",
    "WORKER_FETCH_AUTH": f'{{"example.org": "Bearer {FETCH_SECRET}"}}',
    "WORKER_WEBHOOK_TRIES": "1",
}
SDK_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class FuzzPlan:
    """The numbers of requests and of attacking clients."""

    jobs: int
    """Requests to send."""
    seed: int
    min_requests: int
    """Requests that must have been sent, because some are rejected by the HTTP client."""
    bodies: int
    """Unsigned bodies of the attack."""
    half_open: int
    """Connections of the attack that never send a whole request."""


FULL = FuzzPlan(jobs=102_000, seed=1, min_requests=100_000, bodies=1_000, half_open=500)
SHORT = FuzzPlan(jobs=4_000, seed=1, min_requests=3_500, bodies=300, half_open=200)


async def fuzz(plan: FuzzPlan, folder: Path) -> Chapter:
    """Send all requests, attack the SDK's port, and return the chapter."""
    tally, started = ResponseTally(), time.monotonic()
    async with AsyncExitStack() as stack:
        testbed = await stack.enter_async_context(external_engine_testbed(folder, SETTINGS))
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        forbidden = await stack.enter_async_context(ForbiddenServer())
        behind_sdk = await stack.enter_async_context(sdk_testbed(testbed.engine, SETTINGS))
        state = FuzzState(forbidden_urls(forbidden.port, testbed.engine.port))
        own_folders = {testbed.engine.base, testbed.worker.state, folder / "vast", folder / "tmp"}
        before = file_stamps(folder, own_folders)
        async with http.get(f"{testbed.worker.url}/openapi.json") as response:
            document = orjson.loads(await response.read())
        sdk_requests = int(plan.jobs * SDK_SHARE)
        gateway = FuzzSender(http, testbed.worker.url, state, tally, dict(OPERATOR))
        await flood(gateway, document, FloodPlan(plan.jobs - sdk_requests, plan.seed))
        state.jobs.clear()
        sdk = FuzzSender(http, behind_sdk.url, state, tally)
        wrapper = SdkRequestWrapper(behind_sdk, state, plan.seed)
        await flood(sdk, document, FloodPlan(sdk_requests, plan.seed + 1, wrapper.wrap))
        attack_findings = await measure_attack(http, behind_sdk, AttackPlan(plan.bodies, plan.half_open, plan.seed))
        logs = [*testbed.logs, behind_sdk.child.log]
        unexpected_files = _changed_files(before, file_stamps(folder, own_folders), logs)
        submissions = testbed.relay.submissions + behind_sdk.relay.submissions
    seconds = time.monotonic() - started
    (folder / "problems.txt").write_text(
        "\n".join(f"{problem} {request}" for problem, request in tally.problems), "utf-8"
    )
    findings = [
        at_least("requests", tally.sent, plan.min_requests),
        at_least("prompts that reached the engine", submissions, tally.sent // 2),
        *_response_findings(tally),
        *unhandled_exceptions(logs),
        leaked_secrets(logs, {*state.secrets, TOKEN, FETCH_SECRET, behind_sdk.vast.master_token}),
        expect_none("files outside the folders of worker and engine", len(unexpected_files), unexpected_files),
        expect_none("connections to addresses that are not allowed", forbidden.connections),
        fact("requests to the SDK's worker", sdk_requests),
        *attack_findings,
    ]
    rows = [("status", "code", "responses"), *_status_rows(tally)]
    facts = [
        ("seconds", f"{seconds:.0f}"),
        ("requests per second", f"{tally.sent / seconds:.0f}"),
        ("seed", str(plan.seed)),
    ]
    return Chapter("Bad input", TEXT, findings, rows, facts)


def _response_findings(tally: ResponseTally) -> list[RunFinding]:
    """Return the findings about responses that the worker may not send."""
    problems = [
        f"{problem}: {request.method} {request.path} {request.body[:200]!r}" for problem, request in tally.problems
    ]
    server_errors = {(status, code): count for (status, code), count in tally.status_counts().items() if status >= 500}
    error_texts = [f"{count} x {status} {code}" for (status, code), count in sorted(server_errors.items())]
    return [
        expect_none("invalid responses (undocumented 5xx, no JSON, no error object)", len(problems), problems),
        expect_none(
            "5xx responses, through the gateway and through Vast's SDK", sum(server_errors.values()), error_texts
        ),
    ]


def _status_rows(tally: ResponseTally) -> list[tuple[str, str, str]]:
    """Return the table of responses by status and error code."""
    counts = sorted(tally.status_counts().items())
    return [(str(status), code or "-", f"{count:,}") for (status, code), count in counts]


def _changed_files(before: Mapping[str, object], after: Mapping[str, object], logs: Sequence[Path]) -> list[str]:
    """Return the paths that are new or changed, other than the logs."""
    log_names = {log.name for log in logs}
    return [path for path, stamp in after.items() if before.get(path) != stamp and Path(path).name not in log_names]

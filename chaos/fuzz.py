"""A hundred thousand requests that no client would send, or only a confused or hostile one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from chaos.document import Chapter
from chaos.finding import at_least, fact, none
from chaos.fuzzing.budget import Attack, budget
from chaos.fuzzing.flood import Flood, flood
from chaos.fuzzing.requests import Pot
from chaos.fuzzing.sender import AnswerTally, Sender
from chaos.testbed.stage import OPERATOR, TOKEN, stage
from chaos.testbed.through_sdk import Envelopes, vast_worker
from chaos.testbed.trap import Trap, astray
from chaos.watch import complaints, secrets, tree

TEXT = """\
`make fuzz`: requests drawn by hypothesis from the schemas of the worker's own OpenAPI document, with workflows drawn
from the catalog so that every link fits; then neighbours of each, most of them the same with a new seed, the others
wrong in one to three places (another type, up to 1,000 levels, names of 232 to 262 bytes, digits of Unicode), some of
them not even JSON, some forms of raw bytes; and every route of the document with ids, tokens, headers and
methods of every kind. They go to the gateway and, signed as Vast's router signs, to the SDK's worker. The engine is
reached when a prompt was posted to it. Secrets are planted as operator's token, tokens of jobs, storage keys, webhook
secrets, fetch credentials and Vast's master token; logs are kept at level debug and searched for all of them. At last
strangers attack the SDK's port with bodies that nobody has signed, some of them never whole, and with connections that
never send a request. A pause is the time to answer a small request, without the time for which the system ran neither
process."""
FETCH_SECRET = "canary-fetch-credential"  # noqa: S105 - planted, to be looked for
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
    jobs: int
    seed: int
    least: int
    bodies: int
    half_open: int


FULL = FuzzPlan(jobs=102_000, seed=1, least=100_000, bodies=1_000, half_open=500)
SHORT = FuzzPlan(jobs=4_000, seed=1, least=3_500, bodies=300, half_open=200)


async def fuzz(plan: FuzzPlan, folder: Path) -> Chapter:
    tally, started = AnswerTally(), time.monotonic()
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(stage(folder, SETTINGS))
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        trap = await stack.enter_async_context(Trap())
        behind = await stack.enter_async_context(vast_worker(scene.engine, SETTINGS))
        pot = Pot(astray(trap.port, scene.engine.port))
        own = {scene.engine.base, scene.worker.state, scene.folder / "vast", scene.folder / "tmp"}
        before = tree(folder, own)
        async with http.get(f"{scene.worker.url}/openapi.json") as answer:
            document = orjson.loads(await answer.read())
        by_sdk = int(plan.jobs * SDK_SHARE)
        gateway = Sender(http, scene.worker.url, pot, tally, dict(OPERATOR))
        await flood(gateway, document, Flood(plan.jobs - by_sdk, plan.seed))
        pot.jobs.clear()
        sdk, envelopes = Sender(http, behind.url, pot, tally), Envelopes(behind, pot, plan.seed)
        await flood(sdk, document, Flood(by_sdk, plan.seed + 1, envelopes.wrap))
        cost = await budget(http, behind, Attack(plan.bodies, plan.half_open, plan.seed))
        logs = [*scene.logs, behind.child.log]
        strangers = _new(before, tree(folder, own), logs)
        reached = scene.relay.submissions + behind.relay.submissions
    seconds = time.monotonic() - started
    wrong = [f"{what}: {asked.method} {asked.path} {asked.body[:200]!r}" for what, asked in tally.problems]
    server_errors = {found: count for found, count in tally.statuses().items() if found[0] >= 500}
    (folder / "problems.txt").write_text("\n".join(f"{what} {asked}" for what, asked in tally.problems), "utf-8")
    findings = [
        at_least("requests", tally.sent, plan.least),
        at_least("prompts that reached the engine", reached, tally.sent // 2),
        none("answers that no answer may be (5xx but a documented 503, no JSON, no error object)", len(wrong), wrong),
        none(
            "5xx answers, through the gateway and through Vast's SDK", sum(server_errors.values()), _told(server_errors)
        ),
        *complaints(logs),
        secrets(logs, {*pot.secrets, TOKEN, FETCH_SECRET, behind.vast.master_token}),
        none("files outside the folders of worker and engine", len(strangers), strangers),
        none("connections to addresses that are not allowed", trap.heard),
        fact("by the SDK's worker", by_sdk),
        *cost,
    ]
    rows = [("status", "code", "answers"), *_codes(tally)]
    facts = [
        ("seconds", f"{seconds:.0f}"),
        ("requests a second", f"{tally.sent / seconds:.0f}"),
        ("seed", str(plan.seed)),
    ]
    return Chapter("Bad input", TEXT, findings, rows, facts)


def _codes(tally: AnswerTally) -> list[tuple[str, str, str]]:
    return [(str(status), code or "-", f"{count:,}") for (status, code), count in sorted(tally.statuses().items())]


def _told(answers: Mapping[tuple[int, str], int]) -> list[str]:
    return [f"{count} x {status} {code}" for (status, code), count in sorted(answers.items())]


def _new(before: Mapping[str, object], after: Mapping[str, object], logs: Sequence[Path]) -> list[str]:
    """Paths that are new or changed, other than the logs."""
    return [
        path
        for path, seen in after.items()
        if before.get(path) != seen and Path(path).name not in {log.name for log in logs}
    ]

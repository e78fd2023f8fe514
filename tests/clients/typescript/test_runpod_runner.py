"""`RunPodJobRunner` runs, follows and cancels jobs through RunPod's API of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.clients.relay import Relay
from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle
from tests.workflows import picture, slow

pytestmark = [pytest.mark.tools(*TOOLS), pytest.mark.asyncio(loop_scope="module")]
client = shared_client


@pytest.mark.parametrize("path", ["", "/", "/v2", "/v2/"])
async def test_jobs_of_a_runner(engine: EngineHandle, package: NpmProject, tmp_path: Path, path: str) -> None:
    """Submit, status, output and cancel, under other names, with a base URL as RunPod's SDK has it or without `/v2`."""
    async with worker(engine, tmp_path / "state", tokens=SecretStr("app=0123456789abcdef")) as client:
        results = await package.run(
            """
            const [short, long, invalid] = args;
            const runner = new RunPodJobRunner({ baseUrl, endpoint: "pictures", token: "0123456789abcdef" });
            const own = runner.adapt(
              { run: "submitJob", poll: "getJobStatus", output: "getJobOutput", stop: "cancelJob" });
            const { id, status } = await own.run({ workflow: short });
            const output = await own.output(id);
            const ended = await own.poll(id);
            const running = await own.run({ input: { workflow: long }, policy: { executionTimeout: 60_000 } });
            const early = (await own.output(running.id, { wait: false })) ?? "not yet";
            const cancelled = await own.stop(running.id);
            const error = await caught(own.output(running.id));
            const rejected = await caught(own.run({ workflow: invalid }));
            const over = await own.run({ input: { workflow: long }, policy: { executionTimeout: 1000 } });
            const timeout = await caught(own.output(over.id));
            const health = await runner.getHealth();
            const unknown = await caught(own.poll("nope"));
            const foreign = await caught(new RunPodJobRunner({ baseUrl, token: "wrong-token-01234" }).getJobStatus(id));
            report([status, output.images[0].type, ended.status, early, cancelled.status, error.code, rejected.code,
              rejected.details[0].node_id, timeout.code, Object.keys(health), unknown.code, foreign.code]);
            """,
            client.app.url + path,
            picture(),
            slow(60, steps=600),
            {"1": {"class_type": "EmptyImag", "inputs": {}}},
        )
    assert results == [
        *("IN_QUEUE", "base64", "COMPLETED", "not yet", "CANCELLED", "cancelled", "invalid_workflow", "1", "timeout"),
        *(["jobs", "workers"], "not_found", "unauthorized"),
    ]


async def test_a_submission_that_may_have_arrived_is_not_repeated(client: Client, package: NpmProject) -> None:
    """Without a key, a repeated request would start a second job. The status is asked again."""
    async with Relay(client.app.url, cuts=[0]) as relay:
        code = await package.run(
            "report((await caught(new RunPodJobRunner({ baseUrl }).submitJob({ workflow: args[0] }))).code);",
            relay.url,
            picture(),
        )
        assert (code, relay.connections) == ("connection_failed", 1)
    async with Relay(client.app.url, cuts=[0, 5]) as relay:
        pictures = await package.run(
            """
            const { id } = await new RunPodJobRunner({ baseUrl: args[1] }).submitJob({ workflow: args[0] });
            report((await new RunPodJobRunner({ baseUrl }).getJobOutput(id)).images.length);
            """,
            relay.url,
            picture(),
            client.app.url,
        )
    assert pictures == 1

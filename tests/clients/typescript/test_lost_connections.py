"""The npm package with connections that are cut, workers that restart, full queues, and servers that are no workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.clients.relay import Relay
from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import NOWHERE, Client, shared_client, worker
from tests.engines import EngineHandle, start_engine
from tests.jobs.test_restart import served
from tests.workflows import picture, sampling, slow

pytestmark = [pytest.mark.tools(*TOOLS), pytest.mark.asyncio(loop_scope="module")]
client = shared_client


async def finished(client: Client) -> int:
    """Return the number of jobs that the worker has completed."""
    async with client.http.get(f"{client.app.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("comfy_worker_jobs_total{"))


@asynccontextmanager
async def server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve all requests with a handler, and yield the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_lost_response_starts_one_job(client: Client, package: NpmProject) -> None:
    """The submission, the wait and the stream are repeated when their responses are lost, and each job runs once."""
    before = await finished(client)
    async with Relay(client.app.url, cuts=[0, 0, 40]) as relay:
        first = await package.run(
            "report((await client.generate({ workflow: args[0] })).status);", relay.url, picture()
        )
    async with Relay(client.app.url, cuts=[0, 10]) as relay:
        second = await package.run(
            """
            const types = [];
            for await (const { type } of client.stream({ workflow: args[0] })) types.push(type);
            report([types.filter((type) => type === "accepted").length, types.at(-1)]);
            """,
            relay.url,
            picture(),
        )
    assert (first, second) == ("success", [1, "result"])
    assert await finished(client) - before == 2


async def test_no_event_is_lost_or_doubled(client: Client, package: NpmProject) -> None:
    """A stream whose connection is cut every few hundred bytes has the events of one that is not cut."""
    async with Relay(client.app.url, cuts=[600, 450, 300, 500, 400]) as relay:
        cut, whole = await package.run(
            """
            const numbered = async (events) => {
              const found = [];
              for await (const { type, id } of events) if (type !== "preview") found.push(`${id} ${type}`);
              return found;
            };
            const { id, token } = await new ComfyClient({ baseUrl: args[1] }).submit({ workflow: args[0] });
            const cut = await numbered(client.events({ id, token }));
            report([cut, await numbered(new ComfyClient({ baseUrl: args[1] }).events({ id, token }))]);
            """,
            relay.url,
            sampling(),
            client.app.url,
        )
        assert relay.connections > 5
    assert cut == whole
    assert len(cut) > 8


async def test_a_worker_that_is_killed_in_mid_job_gives_the_result(package: NpmProject, tmp_path: Path) -> None:
    """Clients that wait or follow get the result from the next process with the same state folder."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as process, Relay(process.url) as relay:

            async def restart() -> None:
                await process.running()
                await process.end()
                relay.cut_all()
                await process.start()
                relay.target = process.url

            program = """
            const job = await client.submit({ workflow: args[0] });
            const followed = (async () => {
              for await (const { type, data } of client.events(job)) if (type === "result") return data;
            })();
            const results = [await client.wait(job), await followed, await client.generate({ workflow: args[1] })];
            report(results.map(({ status, outputs }) => [status, outputs.length]));
            """
            results, _ = await asyncio.gather(package.run(program, relay.url, slow(2, steps=20), picture()), restart())
    assert results == [["success", 1]] * 3


async def test_a_full_queue_is_waited_for(engine: EngineHandle, package: NpmProject, tmp_path: Path) -> None:
    """50 jobs at once complete on a worker that takes four, and one that is not repeated gets 429."""
    async with worker(engine, tmp_path, max_queue=4) as client:
        results = await package.run(
            """
            const patient = new ComfyClient({ baseUrl, retryMs: 60_000 });
            const jobs = args[0].map((workflow) => patient.generate({ workflow }));
            const once = new ComfyClient({ baseUrl, retryMs: 0 });
            let refused;
            while (!refused) refused = await once.submit({ workflow: args[1] }).then(() => undefined, fields);
            report([(await Promise.all(jobs)).filter(({ status }) => status === "success").length, refused]);
            """,
            client.app.url,
            [picture() for _ in range(50)],
            picture(),
        )
    completed, refused = results
    assert completed == 50
    assert (refused["code"], refused["status"], refused["retryable"]) == ("queue_full", 429, True)


async def test_wrong_urls_are_named(client: Client, package: NpmProject) -> None:
    """No scheme, a query, a port without a server, another server, and a path that does not exist."""

    async def respond(_: web.Request) -> web.StreamResponse:
        return await _page(200)

    async with server(respond) as page:
        results = await package.run(
            """
            const tried = async (url) => {
              const { name, code, message } = await caught((async () =>
                await new ComfyClient({ baseUrl: url, retryMs: 0 }).templates())());
              return [name, code, message];
            };
            report(await Promise.all(args[0].map(tried)));
            """,
            client.app.url,
            ["127.0.0.1:18288", "localhost:80", "", "ftp://x", f"{page}?a=1", NOWHERE, page, f"{client.app.url}/nope/"],
        )
    assert [name for name, *_ in results] == ["TypeError"] * 5 + ["ComfyError"] * 3
    assert all("baseUrl" in message for _, _, message in results[:5])
    (refused_code, refused), (page_code, page_message), (path_code, _) = ([*rest] for _, *rest in results[5:])
    assert (refused_code, page_code, path_code) == ("connection_failed", "bad_response", "not_found")
    assert f"{NOWHERE}/templates" in refused
    assert "ECONNREFUSED" in refused or "bad port" in refused
    assert "text/html" in page_message
    assert "<h1>" in page_message


async def _page(status: int) -> web.Response:
    return web.Response(status=status, text="<h1>A proxy</h1>", content_type="text/html")


async def test_pages_of_a_proxy_are_waited_for(client: Client, package: NpmProject) -> None:
    """502, 503, 504 and 429 without a worker's JSON are repeated; 400 and 500 are not."""
    statuses = [502, 503, 504, 429, 200, 400, 500]

    async def respond(request: web.Request) -> web.StreamResponse:
        status = statuses.pop(0)
        return web.json_response({"templates": []}) if status == 200 else await _page(status)

    async with server(respond) as url:
        results = await package.run(
            """
            const templates = await client.templates();
            const bad = await caught(client.templates());
            report([templates, fields(bad), fields(await caught(client.templates()))]);
            """,
            url,
        )
    templates, bad, internal = results
    assert templates == []
    assert (bad["code"], bad["status"], bad["fault"]) == ("bad_response", 400, "client")
    assert (internal["code"], internal["status"], internal["fault"]) == ("bad_response", 500, "worker")


async def test_a_server_that_hangs_is_given_up(package: NpmProject) -> None:
    """Without a byte for `stallMs`, a request is repeated, and it fails after `retryMs`."""
    requests = []

    async def hang(request: web.Request) -> web.StreamResponse:
        requests.append(request.path)
        await asyncio.sleep(60)
        return web.Response()

    async with server(hang) as url:
        error = await package.run(
            """
            const impatient = new ComfyClient({ baseUrl, stallMs: 1000, retryMs: 4000 });
            report(fields(await caught(impatient.templates())));
            """,
            url,
        )
    assert error["code"] == "connection_failed"
    assert "no data arrived" in error["message"]
    assert len(requests) > 1


async def test_tokens_stay_with_the_worker(package: NpmProject) -> None:
    """A download from another host has no token. With `Authorization` of your own, the token is in X-Worker-Token."""
    seen: list[dict[str, str | None]] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append({name: request.headers.get(name) for name in ("Authorization", "X-Worker-Token")})
        return web.json_response({"templates": []}) if request.path == "/templates" else web.Response(body=b"abc")

    async with server(record) as one, server(record) as other:
        await package.run(
            """
            const own = new ComfyClient({ baseUrl, token: async () => "secret" });
            await own.templates();
            await own.download({ url: args[0], bytes: 3, filename: "a" });
            await new ComfyClient({ baseUrl, token: "secret", headers: { authorization: "Bearer outer" } }).templates();
            report(0);
            """,
            one,
            f"{other}/a.png",
        )
    assert seen == [
        {"Authorization": "Bearer secret", "X-Worker-Token": None},
        {"Authorization": None, "X-Worker-Token": None},
        {"Authorization": "Bearer outer", "X-Worker-Token": "secret"},
    ]


async def test_a_server_that_does_not_wait_is_polled(package: NpmProject) -> None:
    """If 202 comes at once, the client pauses before the next request."""
    requests = 0

    async def respond(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if requests < 4:
            return web.json_response({"status": "pending", "id": "a", "token": "t", "state": "queued"}, status=202)
        return web.json_response({"status": "success", "id": "a", "outputs": []})

    async with server(respond) as url:
        took = await package.run(
            """
            const start = Date.now();
            await client.wait({ id: "a", token: "t" });
            report(Date.now() - start);
            """,
            url,
        )
    assert requests == 4
    assert took > 300

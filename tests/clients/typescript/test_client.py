"""The npm package runs, follows and cancels jobs of a real worker."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle
from tests.inputs.files import loading, noise
from tests.workflows import picture, sampling, slow

pytestmark = [pytest.mark.tools(*TOOLS), pytest.mark.asyncio(loop_scope="module")]
client = shared_client

HANDLERS = """
import time


def add_numbers(first, second=1):
    return {"sum": first + second}


def size_of(data):
    return len(data)


def read_bytes():
    return b"\\x00\\x01"


def fail(message):
    raise ValueError(message)


def wait_for_ever():
    while True:
        time.sleep(0.05)
"""


async def test_generate_and_download(client: Client, package: NpmProject) -> None:
    """The bytes of an output are those of the file, inline as well as by its URL."""
    results = await package.run(
        """
        const { createHash } = await import("node:crypto");
        const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
        const inline = await client.generate({ workflow: args[0] });
        const byUrl = await client.generate({ workflow: args[1], output_format: "url" });
        report(await Promise.all([inline, byUrl].map(async ({ status, outputs: [output] }) =>
          [status, output.sha256, hash(await client.download(output)), Boolean(output.data), output.width])));
        """,
        f"{client.app.url}/",  # a slash at the end does not matter
        picture(),
        picture(),
    )
    assert [(status, first == second, inline, width) for status, first, second, inline, width in results] == [
        ("success", True, True, 64),
        ("success", True, False, 64),
    ]


async def test_another_client_waits_for_a_submitted_job(client: Client, package: NpmProject) -> None:
    """Id and token are enough. The status is that of the running job, and the result is there after the end."""
    results = await package.run(
        """
        const { id, token, status } = await client.submit({ workflow: args[0] });
        const other = new ComfyClient({ baseUrl });
        const running = await other.status({ id, token });
        const result = await other.wait({ id, token });
        const ended = await other.status({ id, token });
        const cancelled = await other.cancel({ id, token });
        report([status, running.status, result.status, ended.status, cancelled.cancelled]);
        """,
        client.app.url,
        slow(0.5, steps=5),
    )
    assert results == ["pending", "pending", "success", "success", False]


async def test_events_of_a_stream(client: Client, package: NpmProject) -> None:
    """Events arrive in their order, the last one is the result, and a second client gets the same events."""
    results = await package.run(
        """
        const seen = [];
        let job;
        for await (const event of client.stream({ workflow: args[0] })) {
          seen.push(event);
          if (event.type === "accepted") job = event.data;
        }
        const again = [];
        for await (const event of client.events(job)) again.push(event);
        const late = [];
        for await (const event of client.events(job, { after: seen.at(-2).id })) late.push(event.type);
        const numbers = (events) =>
          events.filter(({ type }) => type !== "preview").map(({ type, id }) => `${id} ${type}`);
        report({ types: seen.map(({ type }) => type), same: String(numbers(seen)) === String(numbers(again)), late,
          image: seen.at(-1).data.outputs[0].mime, steps: seen.filter(({ type }) => type === "step").length });
        """,
        client.app.url,
        sampling(),
    )
    types = results["types"]
    assert (types[0], types[-1], results["late"]) == ("accepted", "result", ["result"])
    assert {"state", "node", "step", "preview", "output"} <= set(types)
    assert (results["same"], results["image"]) == (True, "image/png")
    assert results["steps"] >= 3


async def test_errors_name_code_node_and_field(client: Client, package: NpmProject) -> None:
    """A rejected workflow, a job that fails, an unknown template, and a wrong parameter are ComfyErrors."""
    workflow = picture()
    workflow["2"]["class_type"] = "SaveImag"
    failing = picture()
    failing["3"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0]}}
    failing["2"]["inputs"]["images"] = ["3", 0]
    results = await package.run(
        """
        const streamed = async (workflow) => { for await (const _ of client.stream({ workflow })); };
        report([
          fields(await caught(client.generate({ workflow: args[0] }))),
          fields(await caught(client.generate({ workflow: args[1] }))),
          fields(await caught(streamed(args[1]))),
          fields(await caught(client.generate({ template: "nope", params: {} }))),
          fields(await caught(client.template("smoke-resize", { width: "wide" }))),
          fields(await caught(client.wait({ id: "nope", token: "nope" }))),
        ]);
        """,
        client.app.url,
        workflow,
        failing,
    )
    invalid, failed, streamed, unknown, wrong, missing = results
    assert {error["name"] for error in results} == {"ComfyError"}
    assert (invalid["code"], invalid["status"], invalid["fault"]) == ("invalid_workflow", 422, "client")
    assert (invalid["details"][0]["node_id"], invalid["details"][0]["suggestion"]) == ("2", "Did you mean 'SaveImage'?")
    assert (failed["code"], failed["status"], failed["fault"], failed["retryable"]) == (
        "node_failed",
        422,
        "job",
        False,
    )
    assert failed["details"][0]["node_id"] == "3"
    assert failed["jobId"]
    assert (streamed["code"], streamed["details"][0]["class_type"]) == ("node_failed", "EmbeddedFail")
    assert (unknown["code"], unknown["status"]) == ("unknown_template", 404)
    assert (wrong["code"], wrong["details"][0]["input"]) == ("invalid_params", "width")
    assert (missing["code"], missing["status"]) == ("not_found", 404)


async def test_files_are_uploaded_as_they_are(client: Client, package: NpmProject, tmp_path: Path) -> None:
    """A PNG arrives under a name beyond ASCII, as bytes and as a Blob, and as a template's parameter."""
    picture_of_200 = noise()
    (tmp_path / "photo.png").write_bytes(picture_of_200)
    outputs = await package.run(
        """
        const { readFile } = await import("node:fs/promises");
        const bytes = await readFile(args[1]);
        const name = "Fotó 1 „ü“ 写真.png";
        const workflow = (image) => ({ ...args[0], 1: { ...args[0][1], inputs: { image } } });
        const results = [
          await client.generate({ workflow: workflow(name), files: { [name]: bytes } }),
          await client.generate({ workflow: workflow("folder/a.png"), files: { "folder/a.png": new Blob([bytes]) } }),
          await client.template("resize", { image: bytes, width: 200, height: 200 }),
          await client.template("resize", { image: new Blob([bytes], { type: "image/png" }), width: 100, height: 100 }),
        ];
        report(results.map(({ outputs }) => outputs[0].data));
        """,
        client.app.url,
        loading("x.png"),
        str(tmp_path / "photo.png"),
    )
    images = [Image.open(io.BytesIO(base64.b64decode(output))) for output in outputs]
    assert [image.size for image in images] == [(200, 200), (200, 200), (200, 200), (100, 100)]
    original = Image.open(io.BytesIO(picture_of_200))
    assert [image.tobytes() == original.tobytes() for image in images[:2]] == [True, True]


async def test_templates(client: Client, package: NpmProject) -> None:
    """The list, the schema, and a run, whose parameters are in the metadata."""
    results = await package.run(
        """
        const names = (await client.templates()).map(({ name }) => name);
        const { schema } = await client.describeTemplate("smoke-resize");
        const result = await client.template("smoke-resize", { width: 48, height: 32 }, { output_format: "url" });
        const report_ = await client.validate({ template: "smoke-resize" });
        const { outputs: [{ width }], metadata: { params } } = result;
        report([names.includes("flux-schnell"), Object.keys(schema.properties), width, params, report_.valid]);
        """,
        client.app.url,
    )
    has_flux, properties, width, params, valid = results
    assert (has_flux, width, valid) == (True, 48, True)
    assert {"width", "height"} <= set(properties)
    assert (params["width"], params["height"]) == (48, 32)


@pytest.mark.parametrize("tokens", [None, SecretStr("app=0123456789abcdef")], ids=["no tokens", "tokens"])
async def test_an_aborted_call_cancels_the_job_that_it_owns(
    engine: EngineHandle, package: NpmProject, tmp_path: Path, tokens: SecretStr | None
) -> None:
    """After an abort of `generate` or `stream`, or a loop that is left, the job ends. `wait` and `events` leave it."""
    given = {"tokens": tokens} if tokens else {}
    async with worker(engine, tmp_path / "state", **given) as client:
        results = await package.run(
            """
            const [workflow, token] = args;
            const own = new ComfyClient({ baseUrl, ...(token ? { token } : {}) });
            const generating = async (job) => {
              for await (const { data } of own.events(job)) if (data.state === "generating") return;
            };
            const ended = (id) => own.wait({ id, token: jobs[id] }).then(() => "completed", ({ code }) => code);
            const jobs = {};
            const submitted = async (key) => {
              const job = await own.submit({ workflow }, { idempotencyKey: key });
              jobs[key] = job.token;
              return job;
            };

            const first = new AbortController();
            const call = own.generate({ workflow }, { idempotencyKey: "first", signal: first.signal });
            await generating(await submitted("first"));
            first.abort();
            const reason = (await caught(call)).name;

            for await (const event of own.stream({ workflow }, { idempotencyKey: "second" })) {
              if (event.type === "accepted") jobs.second = event.data.token;
              if (event.type === "state" && event.data.state === "generating") break;
            }
            const early = new AbortController();
            const third = caught(own.generate({ workflow }, { idempotencyKey: "third", signal: early.signal }));
            setTimeout(() => early.abort(new Error("enough")), 0);
            const own_reason = (await third).message;

            const observed = await submitted("fourth");
            const watch = new AbortController();
            const watching = caught(own.wait(observed, { signal: watch.signal }));
            await generating(observed);
            watch.abort();
            await watching;
            const left = (await own.status(observed)).status;
            await own.cancel(observed);
            const before = await caught(own.generate({ workflow }, { signal: AbortSignal.abort() }));
            const ends = await Promise.all(["first", "second", "fourth"].map(ended));
            report([reason, own_reason, before.name, left, ...ends]);
            """,
            client.app.url,
            slow(60, steps=600),
            "0123456789abcdef" if tokens else None,
        )
        assert results == ["AbortError", "enough", "AbortError", "pending", "cancelled", "cancelled", "cancelled"]
        async with asyncio.timeout(60):  # the third job, which is cancelled without its token, ends as well
            while (await client.get("/health"))[1]["jobs"]:
                await asyncio.sleep(0.05)


async def test_handlers(engine: EngineHandle, package: NpmProject, tmp_path: Path) -> None:
    """Arguments, bytes in both directions, an exception, an unknown name, and an abort."""
    (tmp_path / "app" / "handlers").mkdir(parents=True)
    (tmp_path / "app" / "handlers" / "some.py").write_text(HANDLERS)
    async with worker(engine, tmp_path / "state", handlers=tmp_path / "app", handlers_port=0) as client:
        results = await package.run(
            """
            const controller = new AbortController();
            setTimeout(() => controller.abort(), 300);
            report([
              await client.handler("add_numbers", { first: 2 }),
              await client.handler("size_of", { data: new Uint8Array(100_000) }),
              [...(await client.handler("read_bytes"))],
              fields(await caught(client.handler("fail", { message: "broken" }))).code,
              fields(await caught(client.handler("nope"))).code,
              (await caught(client.handler("wait_for_ever", {}, { signal: controller.signal }))).name,
            ]);
            """,
            client.app.url,
        )
    assert results == [{"sum": 3}, 100_000, [0, 1], "handler_failed", "unknown_handler", "AbortError"]


async def test_a_repeated_key_returns_the_same_job(client: Client, package: NpmProject) -> None:
    """The key of the caller works over processes. Another body with the same key is rejected."""
    results = await package.run(
        """
        const options = { idempotencyKey: "order-17" };
        const first = await client.submit({ workflow: args[0] }, options);
        const second = await client.submit({ workflow: args[0] }, options);
        const other = await caught(client.submit({ workflow: args[1] }, options));
        report([first.id === second.id, first.token === second.token, other.code]);
        """,
        client.app.url,
        picture(),
        picture(),
    )
    assert results == [True, True, "id_taken"]


async def test_large_results_arrive_whole(client: Client, package: NpmProject) -> None:
    """A result of 50 MiB, inline, by URL, and in the last event of a stream."""
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 50, "filename_prefix": "big"}}}
    results = await package.run(
        """
        const { createHash } = await import("node:crypto");
        const hashed = async (output) => {
          const bytes = await client.download(output);
          return [bytes.length, createHash("sha256").update(bytes).digest("hex") === output.sha256];
        };
        const inline = await client.generate({ workflow: args[0] });
        const byUrl = await client.generate({ workflow: args[0], output_format: "url" });
        let streamed;
        for await (const { type, data } of client.stream({ workflow: args[0] })) if (type === "result") streamed = data;
        report(await Promise.all([inline, byUrl, streamed].map(({ outputs }) => hashed(outputs[0]))));
        """,
        client.app.url,
        big,
    )
    assert results == [[50 * 1024 * 1024, True]] * 3


async def test_files_of_one_name_do_not_replace_each_other(client: Client, package: NpmProject) -> None:
    """A parameter's file gets another name if `files` has that name already."""
    sizes = await package.run(
        """
        const bytes = Uint8Array.from(atob(args[0]), (character) => character.charCodeAt(0));
        const result = await client.template("resize", { image: bytes, width: 200, height: 200 },
          { files: { "image.png": new Blob(["no picture"]) } });
        report([result.outputs[0].width, result.outputs[0].height]);
        """,
        client.app.url,
        base64.b64encode(noise(50)).decode(),
    )
    assert sizes == [200, 200]


async def test_large_uploads(engine: EngineHandle, package: NpmProject, tmp_path: Path) -> None:
    """A file of 8 MB arrives. One above the limit is rejected, with the limit in the message."""
    (tmp_path / "large.png").write_bytes(noise(1700))
    async with worker(engine, tmp_path / "state", max_body=10) as client:
        width, error = await package.run(
            """
            const { openAsBlob } = await import("node:fs");
            const large = await openAsBlob(args[1]);
            const { outputs } = await client.generate({ workflow: args[0], files: { "a.png": large } });
            const tooLarge = { workflow: args[0], files: { "a.png": new Uint8Array(40_000_000) } };
            report([outputs[0].width, fields(await caught(client.generate(tooLarge)))]);
            """,
            client.app.url,
            loading("a.png"),
            str(tmp_path / "large.png"),
        )
    assert width == 1700
    assert (error["code"], error["status"], error["fault"]) == ("body_too_large", 413, "client")
    assert "10 MiB" in error["message"]

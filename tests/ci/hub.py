"""A simulation of the parts of GitHub's API that the scripts use."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.ci.workflows import ROOT

BOT = "github-actions[bot]"
REPOSITORY = "/repos/us/fleet"


@dataclass
class GitHubApi:
    """A simulated API.

    `notes` are comments and issues, `answers` the responses of other paths, `posts` the other POSTs.
    """

    url: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)
    posts: list[str] = field(default_factory=list)

    def note(self, body: str, login: str = BOT) -> dict[str, Any]:
        number = len(self.notes) + 1
        said = {"id": number, "number": number, "body": body, "user": {"login": login}, "html_url": f"#{number}"}
        self.notes.append(said)
        return said

    async def listed(self, request: web.Request) -> web.Response:
        size, page = int(request.query["per_page"]), int(request.query["page"])
        return web.json_response(self.notes[(page - 1) * size : page * size])

    async def written(self, request: web.Request) -> web.Response:
        given = await request.json()
        return web.json_response(self.note(given["body"]) | given, status=201)

    async def changed(self, request: web.Request) -> web.Response:
        note = self.notes[int(request.match_info["id"]) - 1]
        note |= await request.json()
        return web.json_response(note)

    async def other(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.posts.append(request.path)
            return web.json_response({}, status=self.answers.get(request.path, 202))
        return web.json_response(self.answers[request.path_qs.removeprefix(f"{REPOSITORY}/")])

    async def script(self, module: str, *arguments: str, **env: str) -> str:
        """Return the output of `python -m module`, run as on a runner. Raises AssertionError when it fails."""
        given = {"GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": "us/fleet", "GITHUB_TOKEN": "secret", **env}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            env=os.environ | given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, wrong = await process.communicate()
        assert process.returncode == 0, wrong.decode()
        return out.decode().strip()


@asynccontextmanager
async def hub() -> AsyncIterator[GitHubApi]:
    found = GitHubApi()

    @web.middleware
    async def remember(request: web.Request, handler: Any) -> web.StreamResponse:
        found.tokens.add(request.headers.get("Authorization"))
        return await handler(request)

    app = web.Application(middlewares=[remember])
    for path in ("issues/7/comments", "issues"):
        app.router.add_get(f"{REPOSITORY}/{path}", found.listed)
        app.router.add_post(f"{REPOSITORY}/{path}", found.written)
    for path in ("issues/comments/{id}", "issues/{id}"):
        app.router.add_patch(f"{REPOSITORY}/{path}", found.changed)
    app.router.add_route("*", "/{rest:.*}", found.other)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()

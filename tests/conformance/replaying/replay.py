"""Drives an engine through a recorded session: the same requests in the same order, after the same frames."""

from __future__ import annotations

import asyncio
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tests.conformance.comparison.names import Names
from tests.conformance.recorded.transcript import (
    Body,
    Connect,
    Frame,
    Http,
    Leave,
    Lost,
    Moment,
    Note,
    Received,
    Request,
    Response,
    Send,
    Transcript,
)
from tests.conformance.replaying.engines import EngineUnderTest
from tests.conformance.replaying.landmarks import Landmarks, Mark
from tests.conformance.replaying.props import SPENT, deleted, placed, sent_signal
from tests.conformance.replaying.sockets import Sockets
from worker.workflow.json_value import Json

SHORTEST_PAUSE_S = 0.15
LONGEST_PAUSE_S = 0.5
"""A recorded silence is kept up to this: long enough for a server to have done what it does on its own."""
BUSY_PAUSE_S = 0.03
"""In the middle of a job: long enough for a node that was announced to begin; a quicker engine must not get further."""
POLL_S = 0.02
REFUSED = Request("POST", "/prompt", body=b'{"prompt": {}}')
IDLE: Json = {"exec_info": {"queue_remaining": 0}}
NO_HISTORY: Json = {}
QUIET_S = 0.05
"""How long a client listens for frames beyond the recorded ones before it leaves."""


@dataclass(slots=True)
class ReplayOutcome:
    """What the engine did: an answer for each recorded request (None: nobody answered), and frames by client."""

    names: Names
    answers: list[tuple[Http, Response | None]] = field(default_factory=list)
    frames: dict[str, list[Frame]] = field(default_factory=dict)
    lost: dict[str, int | None] = field(default_factory=dict)
    vain: dict[str, str] = field(default_factory=dict)
    """The first frame of each client that was waited for and never came."""


class SessionReplay:
    """One run of one transcript. `patience_s` is how long a recorded event may take to happen again."""

    def __init__(
        self, transcript: Transcript, engine: EngineUnderTest, session: aiohttp.ClientSession, patience_s: float
    ) -> None:
        self._transcript = transcript
        self._engine = engine
        self._session = session
        self._sockets = Sockets(session, engine.url)
        self._patience_s = patience_s
        self._landmarks: defaultdict[str, Landmarks] = defaultdict(Landmarks)
        self._outcome = ReplayOutcome(Names(engine.host))

    async def run(self) -> ReplayOutcome:
        for place, content in placed(self._transcript).items():
            path = self._engine.base / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for _ in range(SPENT.get(self._transcript.name, 0)):
            await self._ask(REFUSED)
        async with self._sockets:
            for moment in self._transcript.moments:
                await self._step(moment)
            self._learn()
        self._outcome.frames = self._sockets.frames
        self._outcome.lost = self._sockets.lost
        return self._outcome

    async def _step(self, moment: Moment) -> None:
        event = moment.event
        if isinstance(event, Received):
            self._landmarks[event.client].pass_by(event.frame)
        elif isinstance(event, Note):
            self._note(event.text)
        else:
            await self._catch_up()
            if moment.pause_s >= SHORTEST_PAUSE_S:
                await asyncio.sleep(min(moment.pause_s, BUSY_PAUSE_S if moment.busy else LONGEST_PAUSE_S))
            if moment.behind:
                await self._sockets.until(lambda: self._started(moment.behind), self._patience_s)
            await self._act(event)

    async def _act(self, event: Http | Connect | Send | Leave | Lost) -> None:
        match event:
            case Http():
                await self._http(event)
            case Connect():
                await self._connect(event)
            case Send():
                await self._sockets.send(event.client, event.text)
            case Leave():
                await asyncio.sleep(QUIET_S)
                await self._sockets.leave(event.client, abort=event.abort)
            case Lost():
                await self._sockets.until(lambda: event.client in self._sockets.lost, self._patience_s)
                async with asyncio.timeout(self._patience_s):
                    await self._engine.ended()

    def _note(self, text: str) -> None:
        """Do what the recorder did beside the wire at this point."""
        path = deleted(self._transcript, text)
        if path:
            (self._engine.base / path).unlink(missing_ok=True)
        number = sent_signal(text)
        if number:
            self._engine.send_signal(number)

    async def _connect(self, event: Connect) -> None:
        if event.idle:
            await self._poll(Request("GET", "/prompt"), IDLE)
        accepted = await self._sockets.connect(event.client, event.path)
        if not event.accepted and not accepted:
            await self._engine.start()

    async def _http(self, event: Http) -> None:
        names = self._outcome.names
        waits = _waited_for_history(event)
        answer = await (self._poll(event.request, NO_HISTORY, absent=True) if waits else self._ask(event.request))
        if answer is not None and event.response is not None:
            names.learn_response(event.request, event.response, answer)
        self._outcome.answers.append((event, answer))

    async def _poll(self, request: Request, body: Json, *, absent: bool = False) -> Response | None:
        """Ask until the answer holds this (or, with `absent`, something else), or patience ends."""
        for _ in range(int(self._patience_s / POLL_S)):
            answer = await self._ask(request)
            if answer is None or (answer.body.json == body) is not absent:
                break
            await asyncio.sleep(POLL_S)
        return answer

    async def _ask(self, request: Request) -> Response | None:
        names = self._outcome.names
        headers = {name: names.requested(value) for name, value in request.headers.items()}
        try:
            async with self._session.request(
                request.method,
                URL(self._engine.url + names.requested(request.path), encoded=True),
                headers=headers,
                data=_form(request) if request.parts else self._body(request),
                allow_redirects=False,
            ) as response:
                content = await response.read()
                found = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, found, Body(len(content), content))
        except aiohttp.ClientError:
            return None

    def _body(self, request: Request) -> bytes | None:
        return None if request.body is None else self._outcome.names.requested(request.body.decode()).encode()

    async def _catch_up(self) -> None:
        """Wait until every client has got the frames that it had in the recording by now."""
        for client in self._sockets.clients:
            # A client that already missed one is not waited for again.
            patience_s = 0.0 if client in self._outcome.vain else self._patience_s
            if not await self._sockets.until(lambda: not self._missing(client), patience_s):  # noqa: B023
                self._outcome.vain.setdefault(client, str(self._missing(client)))
        self._learn()

    def _missing(self, client: str) -> Mapping[Mark, int]:
        landmarks = self._landmarks[client]
        landmarks.catch_up(self._sockets.frames.get(client, []))
        landmarks.teach(self._outcome.names)
        return landmarks.missing(self._outcome.names)

    def _learn(self) -> None:
        for client in self._sockets.frames:
            self._missing(client)

    def _started(self, recorded: str) -> bool:
        self._learn()
        prompt = self._outcome.names.prompt(recorded)
        return any(landmarks.has_started(prompt) for landmarks in self._landmarks.values())


def _waited_for_history(event: Http) -> bool:
    """The recorder asked for a job's history until there was one, and kept the last answer."""
    route = event.request.route.removeprefix("/api")
    answer = event.response
    return route.startswith("/history/") and answer is not None and answer.is_json and answer.body.json != NO_HISTORY


def _form(request: Request) -> aiohttp.FormData:
    # Names went over the wire as they are, but for the one with a quote in it, which was percent-encoded.
    form = aiohttp.FormData(quote_fields=any('"' in (part.filename or "") for part in request.parts))
    for part in request.parts:
        if part.filename is None:
            form.add_field(part.name, part.content.decode())
        else:
            form.add_field(part.name, io.BytesIO(part.content), filename=part.filename, content_type=part.content_type)
    return form

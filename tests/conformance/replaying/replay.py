"""Replay of a recorded session on an engine: the same requests in the same order, after the same frames."""

from __future__ import annotations

import asyncio
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tests.conformance.comparison.names import ReplayNames
from tests.conformance.recorded.transcript import (
    ClientConnects,
    ClientLeaves,
    ClientSends,
    ConnectionLost,
    Frame,
    HttpExchange,
    Moment,
    ReceivedFrame,
    RecordedBody,
    RecordedRequest,
    RecordedResponse,
    RecorderNote,
    Transcript,
)
from tests.conformance.replaying.engines import EngineUnderTest
from tests.conformance.replaying.landmarks import Landmark, Landmarks
from tests.conformance.replaying.props import SPENT, deleted_file, initial_files, sent_signal
from tests.conformance.replaying.sockets import ReplaySockets
from worker.workflow.json_value import Json

SHORTEST_PAUSE_S = 0.15
LONGEST_PAUSE_S = 0.5
"""Maximum for a recorded pause. It is long enough for actions that a server starts without a request."""
BUSY_PAUSE_S = 0.03
"""Pause while a prompt runs. An announced node starts within it, and a fast engine does not get beyond that node."""
POLL_S = 0.02
REFUSED = RecordedRequest("POST", "/prompt", body=b'{"prompt": {}}')
IDLE: Json = {"exec_info": {"queue_remaining": 0}}
NO_HISTORY: Json = {}
QUIET_S = 0.05
"""Seconds that a client waits for frames beyond the recorded ones before it disconnects."""


@dataclass(slots=True)
class ReplayOutcome:
    """What the engine did: the response to each recorded request (None without one), and the frames by client."""

    names: ReplayNames
    answers: list[tuple[HttpExchange, RecordedResponse | None]] = field(default_factory=list)
    frames: dict[str, list[Frame]] = field(default_factory=dict)
    lost: dict[str, int | None] = field(default_factory=dict)
    missed_frames: dict[str, str] = field(default_factory=dict)
    """The first frame of each client that did not arrive in time."""


class SessionReplay:
    """The replay of one transcript. `patience_s` is the timeout for each recorded event."""

    def __init__(
        self, transcript: Transcript, engine: EngineUnderTest, session: aiohttp.ClientSession, patience_s: float
    ) -> None:
        self._transcript = transcript
        self._engine = engine
        self._session = session
        self._sockets = ReplaySockets(session, engine.url)
        self._patience_s = patience_s
        self._landmarks: defaultdict[str, Landmarks] = defaultdict(Landmarks)
        self._outcome = ReplayOutcome(ReplayNames(engine.host))

    async def run(self) -> ReplayOutcome:
        """Replay the session, and return what the engine did."""
        for place, content in initial_files(self._transcript).items():
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
        """Do the action of one moment, after the frames that preceded it in the recording."""
        event = moment.event
        if isinstance(event, ReceivedFrame):
            self._landmarks[event.client].add_recorded(event.frame)
        elif isinstance(event, RecorderNote):
            self._note(event.text)
        else:
            await self._catch_up()
            if moment.pause_s >= SHORTEST_PAUSE_S:
                await asyncio.sleep(min(moment.pause_s, BUSY_PAUSE_S if moment.busy else LONGEST_PAUSE_S))
            if moment.behind:
                await self._sockets.until(lambda: self._started(moment.behind), self._patience_s)
            await self._act(event)

    async def _act(self, event: HttpExchange | ClientConnects | ClientSends | ClientLeaves | ConnectionLost) -> None:
        """Do one action of a client, or wait for the end of the engine."""
        match event:
            case HttpExchange():
                await self._http(event)
            case ClientConnects():
                await self._connect(event)
            case ClientSends():
                await self._sockets.send(event.client, event.text)
            case ClientLeaves():
                await asyncio.sleep(QUIET_S)
                await self._sockets.leave(event.client, abort=event.abort)
            case ConnectionLost():
                await self._sockets.until(lambda: event.client in self._sockets.lost, self._patience_s)
                async with asyncio.timeout(self._patience_s):
                    await self._engine.ended()

    def _note(self, text: str) -> None:
        """Do what the recorder did outside the protocol when it wrote this note."""
        path = deleted_file(self._transcript, text)
        if path:
            (self._engine.base / path).unlink(missing_ok=True)
        number = sent_signal(text)
        if number:
            self._engine.send_signal(number)

    async def _connect(self, event: ClientConnects) -> None:
        """Open a WebSocket. Start the engine again when it had ended in the recording too."""
        if event.idle:
            await self._poll(RecordedRequest("GET", "/prompt"), IDLE)
        accepted = await self._sockets.connect(event.client, event.path)
        if not event.accepted and not accepted:
            await self._engine.start()

    async def _http(self, event: HttpExchange) -> None:
        """Send a request, and learn names from its response."""
        names = self._outcome.names
        waits = _waited_for_history(event)
        answer = await (self._poll(event.request, NO_HISTORY, absent=True) if waits else self._ask(event.request))
        if answer is not None and event.response is not None:
            names.learn_response(event.request, event.response, answer)
        self._outcome.answers.append((event, answer))

    async def _poll(self, request: RecordedRequest, body: Json, *, absent: bool = False) -> RecordedResponse | None:
        """Repeat a request until the response has this body, or another one with `absent`, or until the timeout."""
        for _ in range(int(self._patience_s / POLL_S)):
            answer = await self._ask(request)
            if answer is None or (answer.body.json == body) is not absent:
                break
            await asyncio.sleep(POLL_S)
        return answer

    async def _ask(self, request: RecordedRequest) -> RecordedResponse | None:
        """Send a request with the replay's names. Return None when the engine does not respond."""
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
                response_headers = {name.lower(): value for name, value in response.headers.items()}
                return RecordedResponse(response.status, response_headers, RecordedBody(len(content), content))
        except aiohttp.ClientError:
            return None

    def _body(self, request: RecordedRequest) -> bytes | None:
        return None if request.body is None else self._outcome.names.requested(request.body.decode()).encode()

    async def _catch_up(self) -> None:
        """Wait until every client has the frames that it had in the recording at this moment."""
        for client in self._sockets.clients:
            # The replay does not wait again for a client that already missed a frame.
            patience_s = 0.0 if client in self._outcome.missed_frames else self._patience_s
            if not await self._sockets.until(lambda: not self._missing(client), patience_s):  # noqa: B023
                self._outcome.missed_frames.setdefault(client, str(self._missing(client)))
        self._learn()

    def _missing(self, client: str) -> Mapping[Landmark, int]:
        """Return the frames that a client still lacks, after learning from the new ones."""
        landmarks = self._landmarks[client]
        landmarks.add_replayed(self._sockets.frames.get(client, []))
        landmarks.learn_names(self._outcome.names)
        return landmarks.missing(self._outcome.names)

    def _learn(self) -> None:
        for client in self._sockets.frames:
            self._missing(client)

    def _started(self, recorded: str) -> bool:
        """Return whether any client got the start of this recorded prompt."""
        self._learn()
        prompt = self._outcome.names.prompt(recorded)
        return any(landmarks.has_started(prompt) for landmarks in self._landmarks.values())


def _waited_for_history(event: HttpExchange) -> bool:
    """Return whether the recorder polled for a history entry. It kept only the last response."""
    route = event.request.route.removeprefix("/api")
    answer = event.response
    return route.startswith("/history/") and answer is not None and answer.is_json and answer.body.json != NO_HISTORY


def _form(request: RecordedRequest) -> aiohttp.FormData:
    # File names were sent unchanged, except for the one with a quote, which was percent-encoded.
    form = aiohttp.FormData(quote_fields=any('"' in (part.filename or "") for part in request.parts))
    for part in request.parts:
        if part.filename is None:
            form.add_field(part.name, part.content.decode())
        else:
            form.add_field(part.name, io.BytesIO(part.content), filename=part.filename, content_type=part.content_type)
    return form

"""The state of the simulated control plane: apps, functions, calls with their inputs, and stored objects."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from modal_proto import api_pb2

T = TypeVar("T")


class StateChanges:
    """Wakes everything that waits for a change of the state."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Let all waiters check their conditions."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], T], timeout_s: float | None) -> T:
        """Return the result of the condition as soon as it is true, or what it is after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (result := condition()):
                    await self._event.wait()
                return result
        except TimeoutError:
            return condition()


@dataclass(slots=True, eq=False)
class QueuedInput:
    """One input of a call. `task_id` is the container that runs it, `output` its result."""

    id: str
    call: FunctionCallRecord
    index: int
    payload: api_pb2.FunctionInput
    retry_count: int = 0
    task_id: str = ""
    output: api_pb2.FunctionGetOutputsItem | None = None
    canceled: bool = False


@dataclass(slots=True, eq=False)
class FunctionCallRecord:
    """A call of a function, with the streams of data in both directions."""

    id: str
    function: FunctionRecord
    invocation_type: int = api_pb2.FUNCTION_CALL_INVOCATION_TYPE_SYNC
    inputs: list[QueuedInput] = field(default_factory=list)
    data_in: list[api_pb2.DataChunk] = field(default_factory=list)
    data_out: list[api_pb2.DataChunk] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether every input has an output."""
        return bool(self.inputs) and all(entry.output for entry in self.inputs)

    def send(self, chunk: api_pb2.DataChunk) -> None:
        """Append a chunk for the container."""
        chunk.index = len(self.data_in) + 1
        self.data_in.append(chunk)


@dataclass(slots=True, eq=False)
class FunctionRecord:
    """A deployed function or class. `staged` is the definition that the next publication makes current."""

    id: str
    tag: str
    app: AppRecord
    handle: api_pb2.FunctionHandleMetadata
    definition: api_pb2.Function | None = None
    staged: api_pb2.Function | None = None
    pending: list[QueuedInput] = field(default_factory=list)

    @property
    def current(self) -> api_pb2.Function:
        """The published definition. Raises LookupError before the first publication."""
        if self.definition is None:
            raise LookupError(f"{self.tag} is not published")
        return self.definition


@dataclass(slots=True, eq=False)
class AppRecord:
    """An app. `version` counts its publications."""

    id: str
    name: str
    functions: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret: its name, empty for one that an app made, and its variables."""

    name: str
    variables: dict[str, str]


class ControlPlaneState:
    """Everything that the control plane remembers, by id."""

    def __init__(self) -> None:
        self.changes = StateChanges()
        self.apps: dict[str, AppRecord] = {}
        self.functions: dict[str, FunctionRecord] = {}
        self.calls: dict[str, FunctionCallRecord] = {}
        self.inputs: dict[str, QueuedInput] = {}
        self.images: dict[str, api_pb2.Image] = {}
        self.secrets: dict[str, StoredSecret] = {}
        self.volumes: dict[str, str] = {}
        self.mounts: dict[str, list[api_pb2.MountFile]] = {}
        self.mount_files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.task_results: list[api_pb2.GenericResult] = []
        """Failures of containers before their first input: of the import, of `enter`, or of a web server."""
        self.unimplemented: list[str] = []
        """Names of the RPCs that were called and are not implemented."""
        self._numbers = itertools.count(1)

    def new_id(self, prefix: str) -> str:
        """Return a new id in Modal's form, such as `fc-000000000000000000001`."""
        return f"{prefix}-{next(self._numbers):022d}"

    def app_named(self, name: str) -> AppRecord | None:
        """Return the published app of this name."""
        return next((app for app in self.apps.values() if app.name == name and app.version), None)

    def function_of(self, app: AppRecord, tag: str) -> FunctionRecord | None:
        """Return the function of an app by its tag, such as `ComfyUI.*`."""
        return self.functions.get(app.functions.get(tag, ""))

    def new_call(self, function: FunctionRecord, invocation_type: int) -> FunctionCallRecord:
        """Create a call without inputs."""
        call = FunctionCallRecord(self.new_id("fc"), function, invocation_type)
        self.calls[call.id] = call
        return call

    def enqueue(self, call: FunctionCallRecord, payload: api_pb2.FunctionInput) -> QueuedInput:
        """Add an input to a call and to the queue of its function."""
        entry = QueuedInput(self.new_id("in"), call, len(call.inputs), payload)
        self.inputs[entry.id] = entry
        call.inputs.append(entry)
        call.function.pending.append(entry)
        self.changes.notify()
        return entry

    async def chunk_at(
        self, call: FunctionCallRecord, chunks: list[api_pb2.DataChunk], position: int, timeout_s: float | None
    ) -> api_pb2.DataChunk | None:
        """Wait for a chunk of a call's data. Return None when the call has ended without it, and after `timeout_s`."""
        await self.changes.until(lambda: len(chunks) > position or call.ended, timeout_s)
        return chunks[position] if len(chunks) > position else None

    def requeue(self, entry: QueuedInput) -> None:
        """Put an input back to the front of its queue, for another container."""
        entry.task_id, entry.output = "", None
        entry.call.function.pending.insert(0, entry)
        self.changes.notify()

    def finish(self, entry: QueuedInput, output: api_pb2.FunctionGetOutputsItem) -> None:
        """Store the output of an input."""
        entry.output = output
        entry.task_id = ""
        if entry in entry.call.function.pending:
            entry.call.function.pending.remove(entry)
        self.changes.notify()

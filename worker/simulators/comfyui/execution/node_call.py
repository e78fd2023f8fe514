"""The call of a node function: its inputs, its context and its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Images, Latent, Masks, Value
from worker.simulators.comfyui.execution.cache import NodeInstances
from worker.simulators.comfyui.execution.progress import NodeProgress, PreviewImage
from worker.simulators.comfyui.folders import ComfyFolders
from worker.simulators.comfyui.server import frames
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.server.logs import ServerLog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Prompt, is_link
from worker.workflow.validation.inspection import ACCEPT_UNDECLARED

OWN_PACKS = ("nodes", "comfy_extras.")
"""Beginnings of the modules of ComfyUI's own classes."""


class Interrupted(Exception):
    """The running prompt was interrupted."""


class NodeError(Exception):
    """A node failed. `type_name` is the name of the exception that a real ComfyUI would report."""

    def __init__(self, message: str, type_name: str = "Exception") -> None:
        super().__init__(message)
        self.type_name = type_name


class Clock(Protocol):
    """Lets time pass for node functions. Faults and timings files replace it to change durations."""

    @property
    def scale(self) -> float:
        """Real seconds that a second of simulated work takes."""

    def sleep(self, seconds: float) -> None:
        """Wait for the given real time, whatever the engine's speed. The wait cannot be interrupted."""

    def work(self, seconds: float) -> None:
        """Wait for work that takes `seconds` on a mid-range GPU, scaled by the engine's speed."""


class EngineClock:
    """The clock of real engines. `closing` ends all waits, so that the engine can stop in the middle of a job."""

    def __init__(self, speed: float, closing: threading.Event) -> None:
        self.scale = 1 / speed if speed > 0 else 0.0
        """Real seconds that a second of simulated work takes. A speed of 0 takes no time."""
        self._closing = closing

    def sleep(self, seconds: float) -> None:
        """Wait for the given real time. Raises `Interrupted` when the engine closes."""
        if self._closing.wait(seconds):
            raise Interrupted

    def work(self, seconds: float) -> None:
        """Wait for `seconds` divided by the engine's speed."""
        if self.scale > 0:
            self.sleep(seconds * self.scale)


@dataclass(frozen=True, slots=True)
class PromptContext:
    """What all node calls of one prompt share."""

    prompt_id: str
    prompt: Prompt
    extra_data: JsonObject
    client_id: str | None
    folders: ComfyFolders
    hub: Hub
    logs: ServerLog
    progress: NodeProgress
    clock: Clock
    interrupt: threading.Event
    instances: NodeInstances
    preview_method: str
    """Method of latent previews. `none` means no previews."""

    def check_interrupt(self) -> None:
        """Raise `Interrupted` if an interrupt was requested since the last check."""
        if self.interrupt.is_set():
            self.interrupt.clear()
            raise Interrupted


@dataclass(frozen=True, slots=True)
class NodeCall:
    """One call of one node. Methods that read an input raise `NodeError` when it is missing or has another type."""

    node_id: str
    node_class: NodeClass
    inputs: Mapping[str, Value]
    context: PromptContext

    def step(self, value: int, total: int, preview: PreviewImage | None = None) -> None:
        """Report step `value` of `total` to the client, with an optional preview. Raises `Interrupted` if requested."""
        self.context.check_interrupt()
        self.context.progress.update(self.node_id, value, total, preview)

    def log_begin(self) -> None:
        """Log that the node has begun: from here on, only its own steps check for an interrupt."""
        self.context.logs.info(f"{self.node_class.name} of the prompt {self.context.prompt_id} has begun")

    def send_text(self, message: str) -> None:
        """Send a line of text to every client, whoever owns the prompt, as ComfyUI does."""
        self.context.hub.send_binary(frames.text(self.node_id, message))

    def images(self, name: str) -> Images:
        """Return an input as images. A placeholder replaces a value of another type from a simulated node."""
        return coerce.images(self._get(name))

    def masks(self, name: str) -> Masks:
        """Return an input as masks."""
        return coerce.masks(self._get(name))

    def latent(self, name: str) -> Latent:
        """Return an input as a latent."""
        return coerce.latent(self._get(name))

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a numeric input, rounded towards 0."""
        return int(self.number(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        """Return a numeric input."""
        value = self._get(name, default)
        if isinstance(value, int | float):
            return value
        raise self._wrong_type(name, value)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string input."""
        value = self._get(name, default)
        if isinstance(value, str):
            return value
        raise self._wrong_type(name, value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return whether an input is true in Python's sense."""
        return bool(self._get(name, default))

    def _get(self, name: str, default: Value = None) -> Value:
        """Return an input, or the default when it is missing. Raises NodeError without a default."""
        if name not in self.inputs and default is None:
            raise NodeError(f"{self.node_class.name} is missing the input {name!r}", "TypeError")
        return self.inputs.get(name, default)

    def _wrong_type(self, name: str, value: Value) -> NodeError:
        """Return the error for an input whose value has another type than the node needs."""
        message = (
            f"{self.node_class.name}: the input {name!r} got a value of type {type(value).__name__}: {value!r:.80}"
        )
        return NodeError(message, "TypeError")


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The result of a call: one value for each output slot, and the `ui` output by key (`images`, `text`)."""

    values: tuple[Value, ...] = ()
    ui: Mapping[str, Sequence[object]] = field(default_factory=dict)


def check_arguments(node_class: NodeClass, inputs: Mapping[str, Json]) -> None:
    """Raise NodeError for a link to an input that a class of ComfyUI does not have.

    ComfyUI drops other values, but passes the results of all links to the function of the node. Functions of node packs
    may accept any.
    """
    if not node_class.pack.startswith(OWN_PACKS) or node_class.name in ACCEPT_UNDECLARED:
        return
    declared = node_class.static_inputs or expand(node_class, inputs)
    for name, value in inputs.items():
        if isinstance(value, list) and is_link(value) and name not in declared:
            raise NodeError(f"{node_class.name}() got an unexpected keyword argument {name!r}", "TypeError")


NodeFunction = Callable[[NodeCall], NodeResult]


def map_over_lists(
    node: NodeFunction, call: NodeCall, inputs: Mapping[str, list[Value]]
) -> tuple[tuple[list[Value], ...], dict[str, object]]:
    """Call a node once for each item of its longest input list, as ComfyUI does.

    Return a list of values for each output slot, and the merged `ui` output. Shorter lists repeat their last item. A
    class whose inputs are lists is called once with the whole lists.
    """
    results = []
    for arguments in _call_arguments(call.node_class.is_input_list, inputs):
        call.context.check_interrupt()
        results.append(node(NodeCall(call.node_id, call.node_class, arguments, call.context)))
    return _collect_slots(call.node_class, results), _merge_ui(results)


def _call_arguments(is_input_list: bool, inputs: Mapping[str, list[Value]]) -> list[dict[str, Value]]:
    """Return the arguments of each call: item `n` of every input list for call `n`."""
    if is_input_list:
        return [dict(inputs)]
    longest = max((len(values) for values in inputs.values()), default=0)
    if inputs and longest == 0:  # all lists are empty, and ComfyUI does not call the node
        return []
    return [
        {name: values[min(index, len(values) - 1)] for name, values in inputs.items() if values}
        for index in range(max(1, longest))  # a node without inputs is called once
    ]


def _collect_slots(node_class: NodeClass, results: Sequence[NodeResult]) -> tuple[list[Value], ...]:
    """Return, for each output slot, the values of all calls. The lists of a slot that returns lists are joined."""
    slots: tuple[list[Value], ...] = tuple([] for _ in node_class.outputs)
    for result in results:
        for slot, spec, value in zip(slots, node_class.outputs, result.values, strict=False):
            if spec.is_list and isinstance(value, list):
                slot.extend(value)
            else:
                slot.append(value)
    return slots


def _merge_ui(results: Sequence[NodeResult]) -> dict[str, object]:
    """Return the `ui` outputs of all calls, with the lists of each key joined."""
    ui: dict[str, list[object]] = {}
    for result in results:
        for kind, items in result.ui.items():
            ui.setdefault(kind, []).extend(items)
    return dict(ui)

"""How a node is called: its inputs, what it can do while it runs, and what it gives back."""

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
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt


class Interrupted(Exception):
    """Somebody asked for the running prompt to stop, and a node noticed."""


class NodeError(Exception):
    """A node refuses what it was given, under the exception name that ComfyUI would report."""

    def __init__(self, message: str, type_name: str = "Exception") -> None:
        super().__init__(message)
        self.type_name = type_name


class Clock(Protocol):
    """How long work takes. This is the seam for scripted trouble: an engine can be given another one."""

    def sleep(self, seconds: float) -> None:
        """Take this long, whatever the engine's speed, and can't be interrupted."""

    def work(self, seconds: float) -> None:
        """Take as long as a mid-range GPU would need these seconds for, at the engine's speed."""


class EngineClock:
    """Real time; `closing` wakes sleepers, so that an engine can end in the middle of a job."""

    def __init__(self, speed: float, closing: threading.Event) -> None:
        self._speed = speed
        self._closing = closing

    def sleep(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise Interrupted

    def work(self, seconds: float) -> None:
        if self._speed > 0:
            self.sleep(seconds / self._speed)


@dataclass(frozen=True, slots=True)
class PromptContext:
    """Where nodes run: the same for all nodes of one prompt."""

    prompt: Prompt
    extra_data: JsonObject
    client_id: str | None
    folders: ComfyFolders
    hub: Hub
    progress: NodeProgress
    clock: Clock
    interrupt: threading.Event
    instances: NodeInstances
    preview_method: str
    """What latent previews are made with; `none`: there are none."""

    def check_interrupt(self) -> None:
        """Raise `Interrupted` once after an interrupt."""
        if self.interrupt.is_set():
            self.interrupt.clear()
            raise Interrupted


@dataclass(frozen=True, slots=True)
class NodeCall:
    """One call of one node. The readers raise `NodeError` for an input that is missing or of another type."""

    node_id: str
    node_class: NodeClass
    inputs: Mapping[str, Value]
    context: PromptContext

    def step(self, value: int, total: int, preview: PreviewImage | None = None) -> None:
        """Report progress; the place where an interrupt is noticed."""
        self.context.check_interrupt()
        self.context.progress.update(self.node_id, value, total, preview)

    def send_text(self, message: str) -> None:
        """Show a line of text to every client, as ComfyUI does, whoever owns the prompt."""
        self.context.hub.send_binary(frames.text(self.node_id, message))

    def images(self, name: str) -> Images:
        """The pictures of an input; a stand-in where a simulated node gave something else."""
        return coerce.images(self._get(name))

    def masks(self, name: str) -> Masks:
        return coerce.masks(self._get(name))

    def latent(self, name: str) -> Latent:
        return coerce.latent(self._get(name))

    def integer(self, name: str, default: int | None = None) -> int:
        return int(self.number(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        value = self._get(name, default)
        if isinstance(value, int | float):
            return value
        raise self._unfit(name, value)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._get(name, default)
        if isinstance(value, str):
            return value
        raise self._unfit(name, value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        return bool(self._get(name, default))

    def _get(self, name: str, default: Value = None) -> Value:
        if name not in self.inputs and default is None:
            raise NodeError(f"{self.node_class.name} is missing the input {name!r}", "TypeError")
        return self.inputs.get(name, default)

    def _unfit(self, name: str, value: Value) -> NodeError:
        message = f"{self.node_class.name}.{name} got {type(value).__name__} {value!r:.80}"
        return NodeError(message, "TypeError")


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What a call gives: one value for each output slot, and what clients get to see, by kind (`images`, `text`)."""

    values: tuple[Value, ...] = ()
    ui: Mapping[str, Sequence[object]] = field(default_factory=dict)


NodeFunction = Callable[[NodeCall], NodeResult]


def map_over_lists(
    node: NodeFunction, call: NodeCall, inputs: Mapping[str, list[Value]]
) -> tuple[tuple[list[Value], ...], dict[str, object]]:
    """Call a node once for each item of its longest input list, as ComfyUI does, and collect slots and shown things.

    Shorter lists repeat their last item; a class that takes lists is called once with them.
    """
    results = []
    for arguments in _call_arguments(call.node_class.is_input_list, inputs):
        call.context.check_interrupt()
        results.append(node(NodeCall(call.node_id, call.node_class, arguments, call.context)))
    return _collect_slots(call.node_class, results), _merge_ui(results)


def _call_arguments(is_input_list: bool, inputs: Mapping[str, list[Value]]) -> list[dict[str, Value]]:
    if is_input_list:
        return [dict(inputs)]
    longest = max((len(values) for values in inputs.values()), default=0)
    if inputs and longest == 0:
        return []
    return [
        {name: values[min(index, len(values) - 1)] for name, values in inputs.items() if values}
        for index in range(max(1, longest))
    ]


def _collect_slots(node_class: NodeClass, results: Sequence[NodeResult]) -> tuple[list[Value], ...]:
    slots: tuple[list[Value], ...] = tuple([] for _ in node_class.outputs)
    for result in results:
        for slot, spec, value in zip(slots, node_class.outputs, result.values, strict=False):
            if spec.is_list and isinstance(value, list):
                slot.extend(value)
            else:
                slot.append(value)
    return slots


def _merge_ui(results: Sequence[NodeResult]) -> dict[str, object]:
    ui: dict[str, list[object]] = {}
    for result in results:
        for kind, items in result.ui.items():
            ui.setdefault(kind, []).extend(items)
    return dict(ui)

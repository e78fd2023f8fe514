"""Runs one prompt: picks nodes, calls them, keeps what they made, and tells its owner each step."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.cache import NodeInstances, NodeOutputs, OutputCache, UiOutput, signatures
from worker.simulators.comfyui.execution.history import PromptOutcome
from worker.simulators.comfyui.execution.node_call import (
    Clock,
    Interrupted,
    NodeCall,
    NodeError,
    PromptContext,
    map_over_lists,
)
from worker.simulators.comfyui.execution.progress import NodeProgress, preview_method
from worker.simulators.comfyui.execution.queue import QueuedPrompt
from worker.simulators.comfyui.execution.schedule import DependencyCycle, Schedule
from worker.simulators.comfyui.folders import ComfyFolders
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.settings import PREVIEWS_OFF, CachePolicy
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import Presence
from worker.workflow.json_value import Json
from worker.workflow.prompt import is_link


@dataclass(frozen=True, slots=True)
class PromptRun:
    """One prompt on its way."""

    item: QueuedPrompt
    context: PromptContext
    outcome: PromptOutcome = field(default_factory=PromptOutcome)
    executed: list[str] = field(default_factory=list)

    @property
    def prompt_id(self) -> str:
        return self.item.prompt_id


class Executor:
    """Runs prompts one at a time, in the worker thread; `interrupt` may be set from any thread.

    `client_id` and `current_node` are for greeting a client that connects again in the middle of its job.
    """

    def __init__(
        self, catalog: Catalog, load_registry: Callable[[], NodeRegistry], hub: Hub, folders: ComfyFolders, clock: Clock
    ) -> None:
        self.interrupt = threading.Event()
        self.client_id: str | None = None
        self.current_node: str | None = None
        self._catalog = catalog
        self._load_registry = load_registry
        self._hub = hub
        self._folders = folders
        self._clock = clock
        self._cache = OutputCache(CachePolicy.LAST_PROMPT)
        self._instances = NodeInstances()
        self._preview_method = PREVIEWS_OFF

    @cached_property
    def registry(self) -> NodeRegistry:
        """The node functions; loaded when they are first asked for."""
        return self._load_registry()

    def configure(self, cache: CachePolicy, preview_method: str) -> None:
        """Use another cache than the default, and previews in prompts that do not name a method themselves."""
        self._cache = OutputCache(cache)
        self._preview_method = preview_method

    def clear_results(self) -> None:
        """Drop all kept results and node objects."""
        self._cache.clear()
        self._instances.clear()

    def run(self, item: QueuedPrompt) -> PromptOutcome:
        """Run a validated prompt to its end, whichever that is."""
        self.interrupt.clear()
        self.client_id = _owner(item)
        run = PromptRun(item, self._site(item))
        self._mark(run, "execution_start", {"prompt_id": run.prompt_id})
        signed = signatures(
            item.prompt, self._catalog, lambda node_id: self.registry.fingerprint(item.prompt[node_id], self._folders)
        )
        cached = self._cache.begin(signed)
        self._instances.begin(item.prompt)
        self._mark(run, "execution_cached", {"nodes": cached, "prompt_id": run.prompt_id})
        self._run_nodes(run, Schedule(item.prompt, item.outputs, self._cache, self._catalog))
        self.current_node = None
        return run.outcome

    def _site(self, item: QueuedPrompt) -> PromptContext:
        progress = NodeProgress(self._hub, item.prompt_id, self.client_id)
        extra_data = item.extra_data | item.secrets
        return PromptContext(
            prompt=item.prompt,
            extra_data=extra_data,
            client_id=self.client_id,
            folders=self._folders,
            hub=self._hub,
            progress=progress,
            clock=self._clock,
            interrupt=self.interrupt,
            instances=self._instances,
            preview_method=preview_method(extra_data.get("preview_method"), self._preview_method),
        )

    def _run_nodes(self, run: PromptRun, schedule: Schedule) -> None:
        while schedule:
            try:
                node_id = schedule.next()
            except DependencyCycle as cycle:
                self._mark_failure(run, "execution_error", cycle.node_id, _described(cycle, run))
                return
            try:
                is_done = self._run_node(run, schedule, node_id)
            except Interrupted:
                self._mark_failure(run, "execution_interrupted", node_id, {})
                return
            except Exception as error:  # noqa: BLE001 - whatever a node raises fails its prompt, never the engine
                self._mark_failure(run, "execution_error", node_id, self._describe(run, node_id, error))
                return
            if is_done:
                schedule.done(node_id)
        self._show_intermediate(run)
        self._mark(run, "execution_success", {"prompt_id": run.prompt_id})

    def _show_intermediate(self, run: PromptRun) -> None:
        """Report again what cached nodes reported whose class says so, also nodes that no output needs."""
        for node_id, node in run.item.prompt.items():
            kept = self._cache.get(node_id)
            if (
                kept is not None
                and node_id not in run.executed
                and self._catalog[node["class_type"]].has_intermediate_output
            ):
                self._show(run, node_id, kept.ui)

    def _run_node(self, run: PromptRun, schedule: Schedule, node_id: str) -> bool:
        """Run a node, or find that it has to wait for a lazy input (False): it is announced again then."""
        kept = self._cache.get(node_id)
        if kept is not None:
            self._show(run, node_id, kept.ui)
            run.context.progress.finish(node_id)
            return True
        run.context.progress.start(node_id)
        inputs = self._gather(run, node_id)
        self._send(run, "executing", {"node": node_id, "display_node": node_id, "prompt_id": run.prompt_id})
        self.current_node = node_id if self.client_id is not None else self.current_node
        missing = self._missing(run, node_id, inputs)
        for source in missing:
            schedule.require(node_id, source)
        if not missing:
            self._make(run, node_id, inputs)
        return not missing

    def _missing(self, run: PromptRun, node_id: str, inputs: Mapping[str, list[Value]]) -> list[str]:
        """The sources of lazy inputs that this node needs and that have not run."""
        node = run.item.prompt[node_id]
        wanted = (node["inputs"].get(name) for name in self.registry.needed_lazy_inputs(node["class_type"], inputs))
        sources = (str(link[0]) for link in wanted if isinstance(link, list) and is_link(link))
        return [source for source in sources if source not in self._cache]

    def _make(self, run: PromptRun, node_id: str, inputs: Mapping[str, list[Value]]) -> None:
        node_class = self._catalog[run.item.prompt[node_id]["class_type"]]
        call = NodeCall(node_id, node_class, {}, run.context)
        slots, ui = map_over_lists(self.registry.node(node_class), call, inputs)
        outputs = NodeOutputs(slots, UiOutput(ui, _meta(node_id)) if ui else None)
        if outputs.ui is not None:
            self._show(run, node_id, outputs.ui)
        self._cache.keep(node_id, outputs)
        run.context.progress.finish(node_id)
        run.executed.append(node_id)

    def _gather(self, run: PromptRun, node_id: str) -> dict[str, list[Value]]:
        """The inputs as lists; links whose source did not run, because it is lazy or failed, are left out."""
        collect_trace: dict[str, list[Value]] = {}
        for name, value in run.item.prompt[node_id]["inputs"].items():
            if isinstance(value, list) and is_link(value):
                outputs = self._cache.get(str(value[0]))
                if outputs is not None:
                    collect_trace[name] = outputs.slots[_slot(value[1])]
            elif isinstance(value, dict) and "__value__" in value:
                collect_trace[name] = [_plain(value["__value__"])]
            else:
                collect_trace[name] = [_plain(value)]
        return collect_trace

    def _show(self, run: PromptRun, node_id: str, ui: UiOutput | None) -> None:
        if ui is not None:
            run.outcome.outputs[node_id] = ui.output
            run.outcome.meta[node_id] = ui.meta
        output = None if ui is None else ui.output
        data = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": run.prompt_id}
        self._send(run, "executed", data)

    def _mark_failure(self, run: PromptRun, event: str, node_id: str, details: Mapping[str, object]) -> None:
        run.outcome.completed = False
        node_type = run.item.prompt[node_id]["class_type"]
        data = {"prompt_id": run.prompt_id, "node_id": node_id, "node_type": node_type, "executed": run.executed}
        self._mark(run, event, {**data, **details})

    def _describe(self, run: PromptRun, node_id: str, error: Exception) -> dict[str, object]:
        prompt = run.item.prompt
        return {
            "exception_message": f"{error}\n",
            "exception_type": error.type_name if isinstance(error, NodeError) else _type_name(error),
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": self._describe_inputs(run, node_id),
            "current_outputs": list(prompt),
        }

    def _describe_inputs(self, run: PromptRun, node_id: str) -> dict[str, list[object]]:
        described = {
            name: [_describe(value) for value in values] for name, values in self._gather(run, node_id).items()
        }
        hidden = {
            "PROMPT": str(run.item.prompt),
            "EXTRA_PNGINFO": _describe(_plain(run.context.extra_data.get("extra_pnginfo"))),
        }
        node_class = self._catalog[run.item.prompt[node_id]["class_type"]]
        for spec in () if node_class.is_v3 else node_class.inputs:  # the newer kind gets these in another way
            if spec.presence is Presence.HIDDEN and spec.type in hidden:
                described[spec.name] = [hidden[spec.type]]
        return described

    def _send(self, run: PromptRun, event: str, data: Mapping[str, object]) -> None:
        if run.context.client_id is not None:
            self._hub.send(event, data, run.context.client_id)

    def _mark(self, run: PromptRun, event: str, data: Mapping[str, object]) -> None:
        """Keep a life mark for the history and send it to the owner; without one, an interruption goes to everybody."""
        marked = {**data, "timestamp": int(time.time() * 1000)}
        run.outcome.messages.append((event, marked))
        if run.context.client_id is not None or event == "execution_interrupted":
            self._hub.send(event, marked, run.context.client_id)


def _owner(item: QueuedPrompt) -> str | None:
    client = item.extra_data.get("client_id")
    if client is None or isinstance(client, str):
        return client
    return f"no string: {client!r}"  # ComfyUI takes it, and no socket ever has that id


def _meta(node_id: str) -> dict[str, object]:
    return {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}


def _plain(value: object) -> Value:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            raise TypeError(f"a prompt can't hold {value!r}")


def _describe(value: Value) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _type_name(error: Exception) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _slot(value: Json) -> int:
    """A link's output slot. JSON's true is one, as in Python, where ComfyUI takes it for an index."""
    return value if isinstance(value, int) else 0


def _described(cycle: DependencyCycle, run: PromptRun) -> dict[str, object]:
    """As seen on a real server (0.33.0)."""
    return {
        "exception_message": str(cycle),
        "exception_type": "graph.DependencyCycleError",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": list(run.item.prompt),
    }

"""Execution of one prompt: it selects nodes, calls them, caches their outputs, and sends each step to the owner."""

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
from worker.simulators.comfyui.execution.error_details import describe_cycle, describe_value, qualified_name
from worker.simulators.comfyui.execution.history import PromptOutcome
from worker.simulators.comfyui.execution.node_call import (
    Clock,
    Interrupted,
    NodeCall,
    NodeError,
    PromptContext,
    check_arguments,
    map_over_lists,
)
from worker.simulators.comfyui.execution.progress import NodeProgress, preview_method
from worker.simulators.comfyui.execution.queue import QueuedPrompt
from worker.simulators.comfyui.execution.schedule import DependencyCycle, Schedule
from worker.simulators.comfyui.folders import ComfyFolders
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.server.logs import ServerLog
from worker.simulators.comfyui.settings import PREVIEWS_OFF, CachePolicy
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import Presence
from worker.workflow.json_value import Json
from worker.workflow.prompt import is_link


@dataclass(frozen=True, slots=True)
class PromptRun:
    """A prompt that runs. `executed` has the ids of the nodes that ran so far."""

    item: QueuedPrompt
    context: PromptContext
    outcome: PromptOutcome = field(default_factory=PromptOutcome)
    executed: list[str] = field(default_factory=list)

    @property
    def prompt_id(self) -> str:
        return self.item.prompt_id


class Executor:
    """Runs prompts one at a time in the prompt thread. `interrupt` may be set from any thread.

    `client_id` and `current_node` belong to the prompt that runs. The server sends them to a client that reconnects.
    """

    def __init__(
        self,
        catalog: Catalog,
        load_registry: Callable[[], NodeRegistry],
        hub: Hub,
        logs: ServerLog,
        folders: ComfyFolders,
        clock: Clock,
    ) -> None:
        self.interrupt = threading.Event()
        self.client_id: str | None = None
        self.current_node: str | None = None
        self._catalog = catalog
        self._load_registry = load_registry
        self._hub = hub
        self._logs = logs
        self._folders = folders
        self._clock = clock
        self._cache = OutputCache(CachePolicy.LAST_PROMPT)
        self._instances = NodeInstances()
        self._preview_method = PREVIEWS_OFF

    @cached_property
    def registry(self) -> NodeRegistry:
        """The node functions, loaded at the first access."""
        return self._load_registry()

    def configure(self, cache: CachePolicy, preview_method: str) -> None:
        """Set the cache policy, and the preview method for prompts that name none."""
        self._cache = OutputCache(cache)
        self._preview_method = preview_method

    def clear_results(self) -> None:
        """Remove all cached outputs and node objects."""
        self._cache.clear()
        self._instances.clear()

    def run(self, item: QueuedPrompt) -> PromptOutcome:
        """Run a validated prompt until it succeeds, fails or is interrupted, and return its outcome."""
        self.interrupt.clear()
        self.client_id = _owner(item)
        run = PromptRun(item, self._context(item))
        self._record(run, "execution_start", {"prompt_id": run.prompt_id})
        signed = signatures(
            item.prompt, self._catalog, lambda node_id: self.registry.fingerprint(item.prompt[node_id], self._folders)
        )
        cached = self._cache.begin(signed)
        self._instances.begin(item.prompt)
        self._record(run, "execution_cached", {"nodes": cached, "prompt_id": run.prompt_id})
        self._run_nodes(run, Schedule(item.prompt, item.outputs, self._cache, self._catalog))
        self.current_node = None
        return run.outcome

    def _context(self, item: QueuedPrompt) -> PromptContext:
        """Return what all node calls of a prompt share. Nodes may read its secrets, which are not in the history."""
        progress = NodeProgress(self._hub, item.prompt_id, self.client_id)
        extra_data = item.extra_data | item.secrets
        return PromptContext(
            prompt_id=item.prompt_id,
            prompt=item.prompt,
            extra_data=extra_data,
            client_id=self.client_id,
            folders=self._folders,
            hub=self._hub,
            logs=self._logs,
            progress=progress,
            clock=self._clock,
            interrupt=self.interrupt,
            instances=self._instances,
            preview_method=preview_method(extra_data.get("preview_method"), self._preview_method),
        )

    def _run_nodes(self, run: PromptRun, schedule: Schedule) -> None:
        """Run the scheduled nodes until all have run, or until one fails or is interrupted."""
        while schedule:
            try:
                node_id = schedule.next()
            except DependencyCycle as cycle:
                self._record_failure(run, "execution_error", cycle.node_id, describe_cycle(cycle, run.item.prompt))
                return
            try:
                is_done = self._run_node(run, schedule, node_id)
            except Interrupted:
                self._record_failure(run, "execution_interrupted", node_id, {})
                return
            except Exception as error:  # noqa: BLE001 - whatever a node raises fails its prompt, never the engine
                self._record_failure(run, "execution_error", node_id, self._describe_error(run, node_id, error))
                return
            if is_done:  # otherwise the node waits for a lazy input, and is scheduled again
                schedule.mark_done(node_id)
        self._report_intermediate(run)
        self._record(run, "execution_success", {"prompt_id": run.prompt_id})

    def _report_intermediate(self, run: PromptRun) -> None:
        """Report the cached nodes whose class has an intermediate output and that did not run now, as ComfyUI does."""
        for node_id, node in run.item.prompt.items():
            cached = self._cache.get(node_id)
            if cached is None or node_id in run.executed:
                continue
            if self._catalog[node["class_type"]].has_intermediate_output:
                self._report(run, node_id, cached.ui)

    def _run_node(self, run: PromptRun, schedule: Schedule, node_id: str) -> bool:
        """Run a node, or report its cached outputs. Return False when the node must wait for a lazy input."""
        cached = self._cache.get(node_id)
        if cached is not None:
            self._report(run, node_id, cached.ui)
            run.context.progress.finish(node_id)
            return True
        run.context.progress.start(node_id)
        inputs = self._gather_inputs(run, node_id)
        self._send(run, "executing", {"node": node_id, "display_node": node_id, "prompt_id": run.prompt_id})
        if self.client_id is not None:
            self.current_node = node_id
        missing = self._missing_sources(run, node_id, inputs)
        for source in missing:
            schedule.require(node_id, source)
        if not missing:
            self._call_node(run, node_id, inputs)
        return not missing

    def _missing_sources(self, run: PromptRun, node_id: str, inputs: Mapping[str, list[Value]]) -> list[str]:
        """Return the source nodes of needed lazy inputs that have not run yet."""
        node = run.item.prompt[node_id]
        lazy_inputs = self.registry.needed_lazy_inputs(node["class_type"], inputs)
        values = (node["inputs"].get(name) for name in lazy_inputs)
        sources = (str(value[0]) for value in values if isinstance(value, list) and is_link(value))
        return [source for source in sources if source not in self._cache]

    def _call_node(self, run: PromptRun, node_id: str, inputs: Mapping[str, list[Value]]) -> None:
        """Call a node, then report and cache its outputs."""
        node_class = self._catalog[run.item.prompt[node_id]["class_type"]]
        check_arguments(node_class, run.item.prompt[node_id]["inputs"])
        call = NodeCall(node_id, node_class, {}, run.context)  # `map_over_lists` adds the inputs
        slots, ui = map_over_lists(self.registry.node(node_class), call, inputs)
        outputs = NodeOutputs(slots, UiOutput(ui, _meta(node_id)) if ui else None)
        if outputs.ui is not None:
            self._report(run, node_id, outputs.ui)
        self._cache.store(node_id, outputs)
        run.context.progress.finish(node_id)
        run.executed.append(node_id)

    def _gather_inputs(self, run: PromptRun, node_id: str) -> dict[str, list[Value]]:
        """Return the inputs as lists. A link whose source did not run, because it is lazy or failed, is left out."""
        gathered: dict[str, list[Value]] = {}
        for name, value in run.item.prompt[node_id]["inputs"].items():
            if isinstance(value, list) and is_link(value):
                outputs = self._cache.get(str(value[0]))
                if outputs is not None:
                    gathered[name] = outputs.slots[_slot(value[1])]
            elif isinstance(value, dict) and "__value__" in value:  # wraps a list that is no link
                gathered[name] = [_plain(value["__value__"])]
            else:
                gathered[name] = [_plain(value)]
        return gathered

    def _report(self, run: PromptRun, node_id: str, ui: UiOutput | None) -> None:
        """Add a node's `ui` output to the outcome, and send the event `executed`."""
        if ui is not None:
            run.outcome.outputs[node_id] = ui.output
            run.outcome.meta[node_id] = ui.meta
        output = None if ui is None else ui.output
        data = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": run.prompt_id}
        self._send(run, "executed", data)

    def _record_failure(self, run: PromptRun, event: str, node_id: str, details: Mapping[str, object]) -> None:
        """Record the event that ends a failed or interrupted prompt."""
        run.outcome.completed = False
        node_type = run.item.prompt[node_id]["class_type"]
        data = {"prompt_id": run.prompt_id, "node_id": node_id, "node_type": node_type, "executed": run.executed}
        self._record(run, event, {**data, **details})

    def _describe_error(self, run: PromptRun, node_id: str, error: Exception) -> dict[str, object]:
        """Return the details of `execution_error`. As in ComfyUI, `current_outputs` lists every node of the prompt."""
        return {
            "exception_message": f"{error}\n",
            "exception_type": error.type_name if isinstance(error, NodeError) else qualified_name(error),
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": self._describe_inputs(run, node_id),
            "current_outputs": list(run.item.prompt),
        }

    def _describe_inputs(self, run: PromptRun, node_id: str) -> dict[str, list[object]]:
        """Return the inputs of a node as `current_inputs` of `execution_error` shows them."""
        inputs = self._gather_inputs(run, node_id)
        described = {name: [describe_value(value) for value in values] for name, values in inputs.items()}
        hidden = {
            "PROMPT": str(run.item.prompt),
            "EXTRA_PNGINFO": describe_value(_plain(run.context.extra_data.get("extra_pnginfo"))),
        }
        node_class = self._catalog[run.item.prompt[node_id]["class_type"]]
        if node_class.is_v3:  # V3 nodes get no hidden inputs as arguments
            return described
        for spec in node_class.inputs:
            if spec.presence is Presence.HIDDEN and spec.type in hidden:
                described[spec.name] = [hidden[spec.type]]
        return described

    def _send(self, run: PromptRun, event: str, data: Mapping[str, object]) -> None:
        """Send an event to the owner of the prompt, if it has one."""
        if run.context.client_id is not None:
            self._hub.send(event, data, run.context.client_id)

    def _record(self, run: PromptRun, event: str, data: Mapping[str, object]) -> None:
        """Store a lifecycle event and send it to the owner, or to every client if it is an ownerless interruption."""
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        run.outcome.messages.append((event, stamped))
        if run.context.client_id is not None or event == "execution_interrupted":
            self._hub.send(event, stamped, run.context.client_id)


def _owner(item: QueuedPrompt) -> str | None:
    """Return the id of the client that gets the prompt's events, or None."""
    client = item.extra_data.get("client_id")
    if client is None or isinstance(client, str):
        return client
    return f"not a string: {client!r}"  # ComfyUI accepts it, and no client can have that id


def _meta(node_id: str) -> dict[str, object]:
    """Return the `meta` of a node in the history. The engine does not expand nodes, so all ids are the same."""
    return {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}


def _plain(value: object) -> Value:
    """Return a JSON value of a prompt as a node value."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            raise TypeError(f"a prompt cannot contain {value!r}")


def _slot(value: Json) -> int:
    """Return a link's output slot. JSON's `true` counts as 1, because ComfyUI uses it as an index in Python."""
    return value if isinstance(value, int) else 0

"""Checks the nodes of a prompt, from an output to everything that it depends on, in the same order as ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.class_facts import NEVER_VALID, is_chosen
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.linking import fits, output_type
from worker.workflow.catalog.node_class import COMBO, InputSpec, NodeClass, Presence
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import Prompt
from worker.workflow.validation.file_check import FileCheck, accepts_unlisted_file, files_of_class
from worker.workflow.validation.packs.node_validators import NODE_VALIDATORS, NodeValidator

# Exceptions that a malformed prompt raises. ComfyUI reports them as errors, so they are raised here as in ComfyUI.
REPORTED_EXCEPTIONS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    ReferenceError,
)
ACCEPT_UNDECLARED = frozenset({"CustomCombo"})  # classes that receive inputs which they do not declare
LONGEST_LIST = 20  # an error message shows only the length of a longer list of choices
COERCIONS: dict[str, Callable[[object], Json]] = {
    "INT": lambda value: int(cast(str, value)),
    "FLOAT": lambda value: float(cast(str, value)),
    "STRING": str,
    "BOOLEAN": bool,
}


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """Whether a node and everything that it depends on are valid, and the errors of the node itself."""

    valid: bool
    reasons: list[JsonObject]


@dataclass(slots=True)
class _NodeState:
    """A node during its check.

    `received` are the types of its linked inputs. `valid` is False if a node that it depends on is invalid.
    """

    node_id: str
    node_class: NodeClass
    inputs: dict[str, Json]
    validator: NodeValidator | None
    valid: bool = True
    errors: list[JsonObject] = field(default_factory=list)
    received: dict[str, Json] = field(default_factory=dict)


class Inspection:
    """The check of one prompt. Converts values in place to the types of their inputs, as ComfyUI does."""

    def __init__(self, nodes: Prompt, catalog: Catalog, files: FileCheck | None) -> None:
        self._nodes = nodes
        self._catalog = catalog
        self._files = files
        self._findings: dict[str, NodeFinding] = {}
        self._path: dict[str, None] = {}

    def inspect(self, output: str) -> NodeFinding:
        """Check an output node and everything that it depends on, and return the finding of the output.

        As in ComfyUI, an exception becomes an error of the output.
        """
        try:
            return self._inspect_node(output)
        except REPORTED_EXCEPTIONS as error:
            extra: JsonObject = {"exception_type": type(error).__name__, "traceback": []}
            reason = _error("exception_during_validation", "Exception when validating node", str(error), extra)
            self._findings[output] = NodeFinding(valid=False, reasons=[reason])
            return self._findings[output]

    def invalid(self) -> Iterator[tuple[str, list[JsonObject]]]:
        """Yield (node id, errors) for each node that has errors so far. Nodes that only depend on one are omitted."""
        for node_id, finding in self._findings.items():
            if not finding.valid and finding.reasons:
                yield node_id, finding.reasons

    def _inspect_node(self, node_id: str) -> NodeFinding:
        """Return the finding of a node, after a check of the node and of everything that it depends on.

        Each node is checked once. Raises one of `REPORTED_EXCEPTIONS` where ComfyUI fails.
        """
        if node_id in self._findings:
            return self._findings[node_id]
        if node_id in self._path:  # the check of this node has not ended, so that it depends on itself
            return self._report_cycle(node_id)
        node = self._nodes[node_id]
        node_class = self._catalog[node["class_type"]]
        if node_class.name in NEVER_VALID:
            raise TypeError(NEVER_VALID[node_class.name])
        state = _NodeState(node_id, node_class, node["inputs"], NODE_VALIDATORS.get(node_class.name))
        for spec in (node_class.static_inputs or expand(node_class, state.inputs)).values():
            value = state.inputs.get(spec.name)
            if spec.name not in state.inputs:
                state.errors += _missing_input_errors(spec, node_class)
            elif not isinstance(value, list):
                validates_itself = state.validator is not None and state.validator.accepts(spec.name)
                state.errors += _value_errors(state, spec, self._files, check_limits=not validates_itself)
            else:
                link_error = self._link_error(state, spec, value)
                if link_error is not None:
                    state.errors.append(link_error)
                else:
                    self._inspect_source(state, spec, value)
        state.errors += self._validator_errors(state)
        return self._store_finding(state)

    def _link_error(self, state: _NodeState, spec: InputSpec, link: list[Json]) -> JsonObject | None:
        """Return the error of a link whose form or type is wrong, or None. Records the type in `state.received`."""
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _error("bad_linked_input", message, spec.name, _extra_info(spec, received_value=link))
        source = self._catalog[self._nodes[cast(str, link[0])]["class_type"]]
        received = output_type(source, cast(int, link[1]))
        state.received[spec.name] = received
        if state.validator and state.validator.accepts_types:
            return None
        if received == spec.config[0] or fits(source.name, received, state.node_class.name, spec):
            return None
        details = f"{spec.name}, received_type({received}) mismatch input_type({spec.config[0]})"
        extra = _extra_info(spec, received_type=received, linked_node=link)
        return _error("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)

    def _inspect_source(self, state: _NodeState, spec: InputSpec, link: list[Json]) -> None:
        """Check the node that an input is linked to, and record in `state` whether it is valid.

        As in ComfyUI, an exception becomes an error of the linked node.
        """
        source = cast(str, link[0])
        self._path[state.node_id] = None
        try:
            state.valid &= self._inspect_node(source).valid
        except REPORTED_EXCEPTIONS as error:
            state.valid = False
            extra = _extra_info(
                spec,
                exception_message=str(error),
                exception_type=type(error).__name__,
                traceback=[],
                linked_node=link,
            )
            message = "Exception when validating inner node"
            reason = _error("exception_during_inner_validation", message, str(error), extra)
            self._findings[source] = NodeFinding(valid=False, reasons=[reason])
        finally:
            del self._path[state.node_id]

    def _validator_errors(self, state: _NodeState) -> list[JsonObject]:
        """Run the validator of the class. Return its error once for each of its arguments, as ComfyUI does, or none."""
        if not state.validator:
            return []
        arguments = _arguments(state, state.validator)
        files = files_of_class(self._files, state.node_class)
        problem = state.validator.run(arguments, files, state.node_class)
        if problem is None:
            return []
        message = "Custom validation failed for node"
        suffix = f" - {problem}" if problem else ""
        return [_error("custom_validation_failed", message, name + suffix, {"input_name": name}) for name in arguments]

    def _store_finding(self, state: _NodeState) -> NodeFinding:
        """Store and return the finding of a node, together with errors that were recorded while it was checked.

        Such errors come from a cycle through the node.
        """
        earlier = self._findings.get(state.node_id, NodeFinding(valid=True, reasons=[]))
        new_errors = [error for error in state.errors if error not in earlier.reasons]
        finding = NodeFinding(earlier.valid and state.valid and not state.errors, earlier.reasons + new_errors)
        self._findings[state.node_id] = finding
        return finding

    def _report_cycle(self, node_id: str) -> NodeFinding:
        """Record the cycle through `node_id` as an error of each of its nodes. Return the finding of `node_id`."""
        path = list(self._path)
        cycle = path[path.index(node_id) :]
        details = " -> ".join(f"{step} ({self._nodes[step]['class_type']})" for step in [*cycle, node_id])
        for step in cycle:
            extra: JsonObject = {"node_id": step, "cycle_nodes": [*cycle]}
            reason = _error("dependency_cycle", "Dependency cycle detected", details, extra)
            self._findings[step] = NodeFinding(valid=False, reasons=[reason])
        return self._findings[node_id]


def _error(kind: str, message: str, details: str, extra_info: JsonObject) -> JsonObject:
    """Return one entry of the `errors` of a node, in ComfyUI's format."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def _arguments(state: _NodeState, validator: NodeValidator) -> dict[str, Json]:
    """Return the arguments that ComfyUI passes to the validator of a class, by name. Linked inputs are None."""
    declared, accepts_undeclared = state.node_class.by_name, state.node_class.name in ACCEPT_UNDECLARED
    arguments: dict[str, Json] = {
        name: None if _is_link_when_run(value) else value
        for name, value in state.inputs.items()
        if validator.accepts(name) and (name in declared or _is_link_when_run(value) or accepts_undeclared)
    }
    if validator.accepts_all and not state.node_class.is_v3:
        hidden = [spec.name for spec in state.node_class.inputs if spec.presence is Presence.HIDDEN]
        arguments.update(dict.fromkeys(hidden))
    if validator.accepts_types:
        arguments["input_types"] = state.received
    return arguments


def _is_link_when_run(value: Json) -> bool:
    """Return whether ComfyUI treats a value as a link when it runs the node, even with a slot of 1.5."""
    match value:
        case [str(), int() | float()]:
            return True
    return False


def _value_errors(
    state: _NodeState, spec: InputSpec, files: FileCheck | None, *, check_limits: bool
) -> list[JsonObject]:
    """Convert `state.inputs[spec.name]` in place to the type of the input. Return its error in a list, or an empty one.

    Unwraps `{"__value__": ...}`, which marks a list that is no link. May raise TypeError when it compares a value with
    a limit, as ComfyUI does.
    """
    inputs = state.inputs
    value = inputs[spec.name]
    try:
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[spec.name] = value["__value__"]
        coerce = COERCIONS.get(spec.type)
        if coerce is not None:
            value = inputs[spec.name] = coerce(value)
    except (TypeError, ValueError, OverflowError) as failure:
        message = f"Failed to convert an input value to a {spec.type} value"
        extra = _extra_info(spec, received_value=value, exception_message=str(failure))
        return [_error("invalid_input_type", message, f"{spec.name}, {value}, {failure}", extra)]
    error = _limit_error(state.node_class, spec, value, files) if check_limits else None
    return [error] if error else []


def _limit_error(node_class: NodeClass, spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    """Return the error of a value that is out of range or not among the choices, or None."""
    if spec.min is not None and cast(float, value) < spec.min:
        message = f"Value {value} smaller than min of {spec.min}"
        return _error("value_smaller_than_min", message, spec.name, _extra_info(spec, received_value=value))
    if spec.max is not None and cast(float, value) > spec.max:
        message = f"Value {value} bigger than max of {spec.max}"
        return _error("value_bigger_than_max", message, spec.name, _extra_info(spec, received_value=value))
    return _choice_error(node_class, spec, value, files) if spec.type == COMBO else None


def _choice_error(node_class: NodeClass, spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    """Return the error of a value that is not among the choices of an input, or None."""
    choices = value if spec.multiselect and isinstance(value, list) else [value]
    options = list(spec.options or ())
    invalid = [
        choice
        for choice in choices
        if not is_chosen(node_class.name, spec.name, choice, options) and not _is_unlisted_file(spec, choice, files)
    ]
    if not invalid:
        return None
    is_long = len(options) > LONGEST_LIST
    listed = f"(list of length {len(options)})" if is_long else str(options)
    details = f"{spec.name}: {', '.join(repr(choice) for choice in invalid)} not in {listed}"
    extra = _extra_info(spec, received_value=value)
    if is_long:
        extra["input_config"] = None  # as in ComfyUI, because the config contains the choices
    return _error("value_not_in_list", "Value not in list", details, extra)


def _is_unlisted_file(spec: InputSpec, name: Json, files: FileCheck | None) -> bool:
    """Return whether a choice is the name of a file that exists in a folder of the input, although it is not listed."""
    return isinstance(name, str) and any(accepts_unlisted_file(files, folder, name) for folder in spec.folders)


def _missing_input_errors(spec: InputSpec, node_class: NodeClass) -> list[JsonObject]:
    """Return a list with the error for an input that the node lacks, or an empty list if the input is optional."""
    if spec.presence is not Presence.REQUIRED:
        return []
    # ComfyUI names only the last part of a dynamic input such as `model.aspect_ratio`.
    details = spec.name.rpartition(".")[2] if node_class.is_v3 else spec.name
    return [_error("required_input_missing", "Required input is missing", details, {"input_name": spec.name})]


def _extra_info(spec: InputSpec, **extra: Json) -> JsonObject:
    """Return the `extra_info` of an error about an input: its name, its config and `extra`."""
    return {"input_name": spec.name, "input_config": list(spec.config), **extra}

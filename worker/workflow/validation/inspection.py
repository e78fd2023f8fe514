"""Check a prompt from an output to all that it needs: each node and its values once, in the order ComfyUI does."""

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

# What an odd prompt makes Python raise; ComfyUI reports the exception, so it is let happen here as it happens there.
REPORTED_EXCEPTIONS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    ReferenceError,
)
TAKE_EVERYTHING = frozenset({"CustomCombo"})  # classes that get inputs which they don't declare
LONGEST_LIST = 20  # longer lists of choices are only counted in an error
COERCIONS: dict[str, Callable[[object], Json]] = {
    "INT": lambda value: int(cast(str, value)),
    "FLOAT": lambda value: float(cast(str, value)),
    "STRING": str,
    "BOOLEAN": bool,
}


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """Whether a node and all it needs are valid, and what is wrong with the node itself."""

    valid: bool
    reasons: list[JsonObject]


@dataclass(slots=True)
class _Visit:
    """One node being checked."""

    node_id: str
    node_class: NodeClass
    inputs: dict[str, Json]
    check: NodeValidator | None
    valid: bool = True
    errors: list[JsonObject] = field(default_factory=list)
    received: dict[str, Json] = field(default_factory=dict)


class Inspection:
    """The findings of one prompt; values are coerced in place as they are checked."""

    def __init__(self, nodes: Prompt, catalog: Catalog, files: FileCheck | None) -> None:
        self._nodes = nodes
        self._catalog = catalog
        self._files = files
        self._findings: dict[str, NodeFinding] = {}
        self._path: dict[str, None] = {}

    def inspect(self, output: str) -> NodeFinding:
        """Check an output node with everything it needs."""
        try:
            return self._visit(output)
        except REPORTED_EXCEPTIONS as oddity:
            extra: JsonObject = {"exception_type": type(oddity).__name__, "traceback": []}
            reason = _problem("exception_during_validation", "Exception when validating node", str(oddity), extra)
            self._findings[output] = NodeFinding(False, [reason])
            return self._findings[output]

    def invalid(self) -> Iterator[tuple[str, list[JsonObject]]]:
        """Yield the nodes found faulty so far; those that only depend on one are left out."""
        for node_id, finding in self._findings.items():
            if not finding.valid and finding.reasons:
                yield node_id, finding.reasons

    def _visit(self, node_id: str) -> NodeFinding:
        if node_id in self._findings:
            return self._findings[node_id]
        if node_id in self._path:
            return self._report_cycle(node_id)
        node = self._nodes[node_id]
        node_class = self._catalog[node["class_type"]]
        if node_class.name in NEVER_VALID:
            raise TypeError(NEVER_VALID[node_class.name])
        visit = _Visit(node_id, node_class, node["inputs"], NODE_VALIDATORS.get(node_class.name))
        for spec in (node_class.shown or expand(node_class, visit.inputs)).values():
            value = visit.inputs.get(spec.name)
            if spec.name not in visit.inputs:
                visit.errors += _missing(spec, node_class)
            elif not isinstance(value, list):
                takes = visit.check is not None and visit.check.accepts(spec.name)
                visit.errors += _value_error(visit, spec, self._files, check_limits=not takes)
            elif error := self._link_error(visit, spec, value):
                visit.errors.append(error)
            else:
                self._follow(visit, spec, value)
        visit.errors += self._own_errors(visit)
        return self._conclude(visit)

    def _link_error(self, visit: _Visit, spec: InputSpec, link: list[Json]) -> JsonObject | None:
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _problem("bad_linked_input", message, spec.name, _about(spec, received_value=link))
        source = self._catalog[self._nodes[cast(str, link[0])]["class_type"]]
        received = output_type(source, cast(int, link[1]))
        visit.received[spec.name] = received
        if visit.check and visit.check.accepts_types:
            return None
        if received == spec.config[0] or fits(source.name, received, visit.node_class.name, spec):
            return None
        details = f"{spec.name}, received_type({received}) mismatch input_type({spec.config[0]})"
        extra = _about(spec, received_type=received, linked_node=link)
        return _problem("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)

    def _follow(self, visit: _Visit, spec: InputSpec, link: list[Json]) -> None:
        source = cast(str, link[0])
        self._path[visit.node_id] = None
        try:
            visit.valid &= self._visit(source).valid
        except REPORTED_EXCEPTIONS as oddity:
            visit.valid = False
            extra = _about(
                spec,
                exception_message=str(oddity),
                exception_type=type(oddity).__name__,
                traceback=[],
                linked_node=link,
            )
            message = "Exception when validating inner node"
            reason = _problem("exception_during_inner_validation", message, str(oddity), extra)
            self._findings[source] = NodeFinding(False, [reason])
        finally:
            del self._path[visit.node_id]

    def _own_errors(self, visit: _Visit) -> list[JsonObject]:
        """Run the class's own check; its one complaint is told for each input that it was handed."""
        if not visit.check:
            return []
        arguments = _arguments(visit, visit.check)
        validation_error = visit.check.run(arguments, files_of_class(self._files, visit.node_class), visit.node_class)
        if validation_error is None:
            return []
        message, reason = "Custom validation failed for node", f" - {validation_error}" if validation_error else ""
        return [
            _problem("custom_validation_failed", message, name + reason, {"input_name": name}) for name in arguments
        ]

    def _conclude(self, visit: _Visit) -> NodeFinding:
        """Join the errors with those that a cycle through this node has already put down."""
        before = self._findings.get(visit.node_id, NodeFinding(True, []))
        fresh = [error for error in visit.errors if error not in before.reasons]
        finding = NodeFinding(before.valid and visit.valid and not visit.errors, before.reasons + fresh)
        self._findings[visit.node_id] = finding
        return finding

    def _report_cycle(self, node_id: str) -> NodeFinding:
        path = list(self._path)
        cycle = path[path.index(node_id) :]
        details = " -> ".join(f"{step} ({self._nodes[step]['class_type']})" for step in [*cycle, node_id])
        for step in cycle:
            extra: JsonObject = {"node_id": step, "cycle_nodes": [*cycle]}
            reason = _problem("dependency_cycle", "Dependency cycle detected", details, extra)
            self._findings[step] = NodeFinding(False, [reason])
        return self._findings[node_id]


def _problem(kind: str, message: str, details: str, extra_info: JsonObject) -> JsonObject:
    """Return one entry of a node's `errors`, in ComfyUI's shape."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info}


def _arguments(visit: _Visit, check: NodeValidator) -> dict[str, Json]:
    """What the server hands to a class's own check: None for whatever is linked, declared or not."""
    known = visit.node_class.by_name
    arguments: dict[str, Json] = {
        name: None if _is_followed(value) else value
        for name, value in visit.inputs.items()
        if check.accepts(name) and (name in known or _is_followed(value) or visit.node_class.name in TAKE_EVERYTHING)
    }
    if check.accepts_all and not visit.node_class.is_v3:
        hidden = [spec.name for spec in visit.node_class.inputs if spec.presence is Presence.HIDDEN]
        arguments.update(dict.fromkeys(hidden))
    if check.accepts_types:
        arguments["input_types"] = visit.received
    return arguments


def _is_followed(value: Json) -> bool:
    """True for what the server's execution takes for a link: a slot of 1.5 included."""
    match value:
        case [str(), int() | float()]:
            return True
    return False


def _value_error(visit: _Visit, spec: InputSpec, files: FileCheck | None, *, check_limits: bool) -> list[JsonObject]:
    """Coerce `visit.inputs[spec.name]` in place and return what is wrong with it: nothing or one error.

    A value wrapped as `{"__value__": ...}` is unwrapped, which is how a prompt writes a list that is no link.
    Values of no JSON type of their own may raise TypeError when compared, as they do in ComfyUI.
    """
    inputs = visit.inputs
    value = inputs[spec.name]
    try:
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[spec.name] = value["__value__"]
        if coerce := COERCIONS.get(spec.type):
            value = inputs[spec.name] = coerce(value)
    except (TypeError, ValueError, OverflowError) as failure:
        message = f"Failed to convert an input value to a {spec.type} value"
        extra = _about(spec, received_value=value, exception_message=str(failure))
        return [_problem("invalid_input_type", message, f"{spec.name}, {value}, {failure}", extra)]
    error = _limit_error(visit.node_class, spec, value, files) if check_limits else None
    return [error] if error else []


def _limit_error(node_class: NodeClass, spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    if spec.min is not None and cast(float, value) < spec.min:
        message = f"Value {value} smaller than min of {spec.min}"
        return _problem("value_smaller_than_min", message, spec.name, _about(spec, received_value=value))
    if spec.max is not None and cast(float, value) > spec.max:
        message = f"Value {value} bigger than max of {spec.max}"
        return _problem("value_bigger_than_max", message, spec.name, _about(spec, received_value=value))
    return _choice_error(node_class, spec, value, files) if spec.type == COMBO else None


def _choice_error(node_class: NodeClass, spec: InputSpec, value: Json, files: FileCheck | None) -> JsonObject | None:
    chosen = value if spec.multiselect and isinstance(value, list) else [value]
    options = list(spec.options or ())
    wrong = [
        one
        for one in chosen
        if not is_chosen(node_class.name, spec.name, one, options) and not _is_file(spec, one, files)
    ]
    if not wrong:
        return None
    long = len(options) > LONGEST_LIST
    listed = f"(list of length {len(options)})" if long else str(options)
    details = f"{spec.name}: {', '.join(repr(one) for one in wrong)} not in {listed}"
    extra = _about(spec, received_value=value)
    if long:
        extra["input_config"] = None
    return _problem("value_not_in_list", "Value not in list", details, extra)


def _is_file(spec: InputSpec, name: Json, files: FileCheck | None) -> bool:
    return isinstance(name, str) and any(accepts_unlisted_file(files, folder, name) for folder in spec.folders)


def _missing(spec: InputSpec, node_class: NodeClass) -> list[JsonObject]:
    if spec.presence is not Presence.REQUIRED:
        return []
    details = spec.name.rpartition(".")[2] if node_class.is_v3 else spec.name
    return [_problem("required_input_missing", "Required input is missing", details, {"input_name": spec.name})]


def _about(spec: InputSpec, **extra: Json) -> JsonObject:
    return {"input_name": spec.name, "input_config": list(spec.config), **extra}

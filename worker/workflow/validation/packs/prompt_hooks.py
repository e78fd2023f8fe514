"""Changes that installed node packs make to a prompt before ComfyUI validates it, in handlers of `POST /prompt`.

Covers the changes of Impact-Pack and Inspire-Pack that affect validation, for ComfyUI 0.33.0. For example, an input
that a switch removes is not followed. A pack counts as installed if the catalog has its classes. If a handler fails on
a prompt, the server skips the remaining handlers of the pack and continues, and so does this module.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator
from typing import Any

from worker.workflow.prompt import Prompt

Nodes = dict[str, Any]
SWITCHES = frozenset({"ImpactSwitch", "LatentSwitch", "SEGSSwitch", "ImpactMakeImageList"})
WILDCARDS = frozenset({"ImpactWildcardEncode", "ImpactWildcardProcessor"})
REMOTES: dict[str, tuple[type, ...]] = {"ImpactRemoteBoolean": (bool,), "ImpactRemoteInt": (int, float)}


def run_hooks(prompt: Prompt, catalog: Container[str]) -> None:
    """Change a prompt in place as the handlers of the installed packs would. Nodes and inputs must be copies.

    If a handler fails, the remaining handlers of its pack are skipped, as on the server.
    """
    nodes: Nodes = {**prompt}
    inspire = INSPIRE if "ImpactWildcardProcessor" in catalog else INSPIRE_ALONE
    for marker_class, handlers in (("ImpactSwitch", IMPACT), ("PromptBuilder //Inspire", inspire)):
        if marker_class not in catalog:  # the pack is not installed
            continue
        try:
            for handler in handlers:
                handler(nodes)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            continue


def _write_remote_values(nodes: Nodes) -> None:
    """Write the value of each remote control node into its target node."""
    for node in _nodes_with_class(nodes):
        kinds = REMOTES.get(node["class_type"])
        if kinds is None:
            continue
        target = nodes.get(str(node["inputs"]["node_id"]))
        if target is None:
            continue
        name = node["inputs"]["widget_name"]
        if name in target["inputs"]:
            if not isinstance(target["inputs"][name], kinds):
                return  # as in the pack, the remaining nodes are not changed either
            target["inputs"][name] = node["inputs"]["value"]


def _remove_unselected_inputs(nodes: Nodes) -> None:
    """Remove the inputs that a switch does not select, for switches that select before the run.

    A switch selects one of its inputs, an inverted switch one of its outputs, and a branch node `tt_value` or
    `ff_value`.
    """
    read_integer = _selection_reader(("ImpactInt", "value"))
    inverted = dict(_selections(nodes, {"ImpactInversedSwitch"}, "select", read_integer))
    read_selection = _selection_reader(("ImpactInt", "value"), ("ImpactSwitch", "select"))
    selected = dict(_selections(nodes, SWITCHES, "select", read_selection))
    branches = dict(_selections(nodes, {"ImpactConditionalBranchSelMode"}, "cond", _receiver_boolean))
    for node_id, node in nodes.items():
        removed = {*_unselected_links(node, inverted)}
        if node_id in selected:
            removed |= {name for name in node["inputs"] if name.startswith("input")} - {f"input{selected[node_id]}"}
        if node_id in branches:
            removed.add("ff_value" if branches[node_id] else "tt_value")
        for name in removed & node["inputs"].keys():
            del node["inputs"][name]


def _selections(
    nodes: Nodes, classes: Collection[str], name: str, read: Callable[[Nodes], Iterator[Any]]
) -> Iterator[tuple[str, Any]]:
    """Yield (node id, selection) for each node of these classes that selects before the run.

    The selection is the value of the input `name`. If this input is linked, `read` yields the selection from the source
    node, or nothing.
    """
    for node_id, node in nodes.items():
        if node.get("class_type") not in classes:
            continue
        selects_before_run = node["inputs"].get("sel_mode")
        if not selects_before_run or name not in node["inputs"]:
            continue
        choice = node["inputs"][name]
        if isinstance(choice, list) and len(choice) == 2:
            yield from ((node_id, selection) for selection in read(nodes[choice[0]]))
        else:
            yield node_id, choice


def _selection_reader(*sources: tuple[str, str]) -> Callable[[Nodes], Iterator[Any]]:
    """Return a function that yields the selection that a source node has, or nothing.

    `sources` are pairs (class, input): a node of this class has the selection in this input.
    """

    def read(source: Nodes) -> Iterator[Any]:
        """Yield the selection that a source node has, or nothing."""
        for class_type, name in sources:
            if source["class_type"] == class_type and name in source.get("inputs", ()):
                value = source["inputs"][name]
                if class_type == "ImpactInt" or isinstance(value, int):
                    yield value

    return read


def _receiver_boolean(source: Nodes) -> Iterator[bool]:
    """Yield the boolean that an Impact value receiver has as text, or nothing for another node."""
    inputs = source.get("inputs", {})
    if source["class_type"] == "ImpactValueReceiver" and inputs.get("typ") == "BOOLEAN":
        value = inputs.get("value")
        if isinstance(value, str):
            yield value.lower() == "true"


def _unselected_links(node: Nodes, inverted: dict[str, Any]) -> Iterator[str]:
    """Yield the inputs of a node that are linked to a slot which an inverted switch does not select.

    `inverted` has the selection of each inverted switch by node id.
    """
    for name, value in node["inputs"].items():
        if isinstance(value, list) and len(value) == 2:
            source, slot = value
            if source in inverted and slot + 1 != inverted[source]:  # selections count from 1
                yield name


def _mark_populated(nodes: Nodes) -> None:
    """Mark the wildcard nodes of Impact-Pack whose text the pack fills in before the run as populated."""
    for node in _nodes_with_class(nodes):
        inputs = node["inputs"]
        if node["class_type"] not in WILDCARDS or not inputs["mode"]:
            continue
        if not isinstance(inputs["populated_text"], str):
            continue
        if _has_seed(inputs["seed"], nodes):
            _require_text(inputs["wildcard_text"])
            inputs["mode"] = False


def _mark_populated_of_inspire(nodes: Nodes) -> None:
    """Mark the wildcard nodes of Inspire-Pack whose text the pack fills in before the run as populated."""
    for node in _nodes_with_class(nodes):
        if node["class_type"] == "WildcardEncode //Inspire":
            _mark_inspire_node(node["inputs"], nodes)
        elif node["class_type"] == "MakeBasicPipe //Inspire" and node["inputs"]["wildcard_mode"] == "populate":
            inputs = node["inputs"]
            texts = [inputs[f"{side}_populated_text"] for side in ("positive", "negative")]
            if any(isinstance(text, str) for text in texts) and _has_seed(inputs["seed"], nodes):
                inputs["wildcard_mode"] = "reproduce"


def _mark_inspire_node(inputs: dict[str, Any], nodes: Nodes) -> None:
    """Mark a `WildcardEncode //Inspire` node with these inputs as populated, if the pack fills it in before the run."""
    if isinstance(inputs["mode"], bool):
        inputs["mode"] = "populate" if inputs["mode"] else "fixed"
    populated = inputs["mode"] == "populate" and isinstance(inputs["populated_text"], str)
    if populated and _has_seed(inputs["seed"], nodes):
        _require_text(inputs["wildcard_text"])
        inputs["mode"] = "reproduce"


def _has_seed(seed: Any, nodes: Nodes) -> bool:  # noqa: ANN401 - JSON
    """Return whether the number of a seed is known. A linked seed is only known if its source is rgthree's seed node.

    Raises TypeError or ValueError, as in the pack, for a seed that is neither a link nor a number.
    """
    if not isinstance(seed, list):
        int(seed)
        return True
    try:
        source = nodes[seed[0]]
        if source["class_type"] == "Seed (rgthree)":
            int(source["inputs"]["seed"])
            return True
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return False


def _require_text(value: Any) -> None:  # noqa: ANN401 - JSON
    """Raise TypeError if a value is no text."""
    if not isinstance(value, str):
        raise TypeError


def _replace_received_images(nodes: Nodes) -> None:
    """Replace the file of image receivers that store their image in the workflow, so that it is not validated."""
    for node in _nodes_with_class(nodes):
        if node["class_type"] == "ImageReceiver" and node["inputs"]["save_to_workflow"]:
            node["inputs"]["image"] = "#DATA"


def _replace_inspire_images(nodes: Nodes) -> None:
    """Replace the file of Inspire's image loaders, so that it is not validated. They store the image in the prompt."""
    for node in _nodes_with_class(nodes):
        if node["class_type"] == "LoadImage //Inspire":
            node["inputs"]["image"] = "#DATA"


def _replace_prompt_categories(nodes: Nodes) -> None:
    """Replace the category of prompt builders, so that it is not validated."""
    for node in _nodes_with_class(nodes):
        if node["class_type"] == "PromptBuilder //Inspire":
            node["inputs"]["category"] = "#PLACEHOLDER"


def _nodes_with_class(nodes: Nodes) -> Iterator[Any]:
    """Yield the nodes that have a class. In an unchecked prompt, some may not."""
    return (node for node in nodes.values() if "class_type" in node)


IMPACT = (_write_remote_values, _remove_unselected_inputs, _mark_populated, _replace_received_images)
INSPIRE = (_replace_inspire_images, _mark_populated_of_inspire, _replace_prompt_categories)
INSPIRE_ALONE = (_replace_inspire_images, _replace_prompt_categories)

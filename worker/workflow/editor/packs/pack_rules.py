"""The rules of one node pack, and the steps of a conversion in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from worker.prompt_changes import SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import BrowserNode, Graph, UiNode
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.editor.subgraphs.flat_node import FlatNode
from worker.workflow.json_value import Json


@dataclass(frozen=True, slots=True)
class ConversionContext:
    """Values that the editor takes from the browser: randomness for `{a|b}`, and the local time for `%date:…%`."""

    rng: Random = field(default_factory=Random)
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())


@dataclass(frozen=True, slots=True)
class OutgoingNode:
    """One node that is written into the prompt. A pack changes `inputs` in place and appends to `seeds`."""

    flat_node: FlatNode
    inputs: dict[str, Json]
    seeds: list[SeedField]
    context: ConversionContext

    @property
    def node(self) -> UiNode:
        """The node in the editor's graph."""
        return self.flat_node.node


@dataclass(frozen=True, slots=True)
class PackRules:
    """The rules of one node pack. None means that the pack has no rule for that step.

    A rule is called for every node and checks first whether the node is of one of its classes. A rule reports a problem
    with `UiNode.warn`. The client receives the warning if the node runs.
    """

    name: str
    browser_nodes: Mapping[str, BrowserNode] = field(default_factory=dict)
    """Classes that exist only in the browser and never appear in a prompt."""
    rewrite_node: Callable[[SavedNode, Catalog], None] | None = None
    """Change a node of the file before it is loaded: its class or its values."""
    set_values: Callable[[NodeShape, SavedNode], bool] | None = None
    """Set the fields of a node to the file's values. Return False if the general rule should do it."""
    add_links: Callable[[Sequence[Graph]], None] | None = None
    """Add links that only a script makes to the loaded graphs. Runs after the primitives; the workflow comes first."""
    change_inputs: Callable[[OutgoingNode], None] | None = None
    """Change the inputs of a node that is written into the prompt."""

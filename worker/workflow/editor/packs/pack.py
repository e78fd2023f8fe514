"""The rules of one node pack, and the moments of a conversion that they plug into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from worker.prompt_changes import SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import BrowserNode, Graph, UiNode
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.subgraphs.flat import FlatNode
from worker.workflow.json_value import Json


@dataclass(frozen=True, slots=True)
class ConversionContext:
    """What the editor would take from where it runs: chance for `{a|b}`, and the local time for `%date:…%`."""

    rng: Random = field(default_factory=Random)
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())


@dataclass(frozen=True, slots=True)
class Sending:
    """One node as it is written into the prompt. A pack changes `inputs` in place and adds to `seeds`."""

    place: FlatNode
    inputs: dict[str, Json]
    seeds: list[SeedField]
    surroundings: ConversionContext

    @property
    def node(self) -> UiNode:
        return self.place.node


@dataclass(frozen=True, slots=True)
class Pack:
    """One node pack: a rule that it does not have is None.

    A rule is called for every node, and looks first whether the node is one of its classes. It warns with
    `UiNode.warn`: the warning reaches the client if the node runs.
    """

    name: str
    browser_nodes: Mapping[str, BrowserNode] = field(default_factory=dict)
    """Classes that its script alone knows, which no prompt has."""
    read: Callable[[SavedNode, Catalog], None] | None = None
    """Change a node of the file before it is loaded: its class, its values."""
    give: Callable[[Shape, SavedNode], bool] | None = None
    """Set the fields of a node to the file's values; return False to leave that to the general rule."""
    link: Callable[[Sequence[Graph]], None] | None = None
    """Change the loaded graphs, the workflow's first: links that only a script makes. Primitives are applied."""
    send: Callable[[Sending], None] | None = None
    """Change the inputs of a node as they are written into the prompt."""

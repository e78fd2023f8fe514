"""KJNodes: `SetNode` sets a value under a name, and `GetNode` reads it by that name elsewhere in the workflow."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode
from worker.workflow.editor.packs.pack_rules import PackRules

_NODES: Final = {"SetNode": BrowserNode(), "GetNode": BrowserNode(gets_from="SetNode", enclosing=True)}

KJNODES: Final = PackRules("KJNodes", browser_nodes=_NODES)

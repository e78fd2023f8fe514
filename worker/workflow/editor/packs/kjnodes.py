"""KJNodes: a value is set under a name in one place of the workflow, and got by that name in others."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode
from worker.workflow.editor.packs.pack import Pack

_NODES: Final = {"SetNode": BrowserNode(), "GetNode": BrowserNode(gets_from="SetNode", enclosing=True)}

KJNODES: Final = Pack("KJNodes", browser_nodes=_NODES)

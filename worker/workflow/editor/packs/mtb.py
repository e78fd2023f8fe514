"""mtb (comfy_mtb)."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode
from worker.workflow.editor.packs.pack import Pack

MTB: Final = Pack("mtb", browser_nodes={"Note Plus (mtb)": BrowserNode()})

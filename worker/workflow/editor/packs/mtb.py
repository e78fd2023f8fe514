"""mtb (comfy_mtb): a note that exists only in the browser."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.editor_graph import BrowserNode
from worker.workflow.editor.packs.pack_rules import PackRules

MTB: Final = PackRules("mtb", browser_nodes={"Note Plus (mtb)": BrowserNode()})

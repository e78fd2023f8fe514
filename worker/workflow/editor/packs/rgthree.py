"""rgthree: nodes that switch others on and off in the browser. What they do to others is saved with those."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.live import BrowserNode
from worker.workflow.editor.packs.pack import Pack

_SHOWN = (
    *("Label (rgthree)", "Bookmark (rgthree)", "Reroute (rgthree)"),
    *("Fast Groups Muter (rgthree)", "Fast Groups Bypasser (rgthree)", "Fast Muter (rgthree)"),
    "Fast Bypasser (rgthree)",
)

RGTHREE: Final = Pack("rgthree", browser_nodes=dict.fromkeys(_SHOWN, BrowserNode()))

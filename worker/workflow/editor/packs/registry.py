"""The node packs whose rules we know."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.editor_graph import OWN_NODES, BrowserNode
from worker.workflow.editor.packs.animatediff import ANIMATEDIFF
from worker.workflow.editor.packs.custom_scripts import CUSTOM_SCRIPTS
from worker.workflow.editor.packs.easy_use import EASY_USE
from worker.workflow.editor.packs.efficiency import EFFICIENCY
from worker.workflow.editor.packs.impact import IMPACT
from worker.workflow.editor.packs.inspire import INSPIRE
from worker.workflow.editor.packs.kjnodes import KJNODES
from worker.workflow.editor.packs.mtb import MTB
from worker.workflow.editor.packs.pack import Pack
from worker.workflow.editor.packs.renamed import RENAMED
from worker.workflow.editor.packs.rgthree import RGTHREE
from worker.workflow.editor.packs.use_everywhere import USE_EVERYWHERE
from worker.workflow.editor.packs.vhs import VHS

PACKS: Final[tuple[Pack, ...]] = (
    RENAMED,
    RGTHREE,
    EFFICIENCY,
    KJNODES,
    EASY_USE,
    CUSTOM_SCRIPTS,
    IMPACT,
    INSPIRE,
    MTB,
    ANIMATEDIFF,
    VHS,
    USE_EVERYWHERE,
)

READ: Final = tuple(pack.read for pack in PACKS if pack.read)
GIVE: Final = tuple(pack.give for pack in PACKS if pack.give)
LINK: Final = tuple(pack.link for pack in PACKS if pack.link)
SEND: Final = tuple(pack.send for pack in PACKS if pack.send)

BROWSER_NODES: Final[dict[str, BrowserNode]] = {
    **OWN_NODES,
    **{name: node for pack in PACKS for name, node in pack.browser_nodes.items()},
}
"""Classes that no prompt has. One of a pack counts only where the catalog has no class of that name."""

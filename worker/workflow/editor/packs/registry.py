"""The node packs with rules, and their rules by step."""

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
from worker.workflow.editor.packs.pack_rules import PackRules
from worker.workflow.editor.packs.renamed import RENAMED
from worker.workflow.editor.packs.rgthree import RGTHREE
from worker.workflow.editor.packs.use_everywhere import USE_EVERYWHERE
from worker.workflow.editor.packs.vhs import VHS

PACKS: Final[tuple[PackRules, ...]] = (
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

REWRITE_NODE: Final = tuple(pack.rewrite_node for pack in PACKS if pack.rewrite_node)
SET_VALUES: Final = tuple(pack.set_values for pack in PACKS if pack.set_values)
ADD_LINKS: Final = tuple(pack.add_links for pack in PACKS if pack.add_links)
CHANGE_INPUTS: Final = tuple(pack.change_inputs for pack in PACKS if pack.change_inputs)

BROWSER_NODES: Final[dict[str, BrowserNode]] = {
    **OWN_NODES,
    **{name: node for pack in PACKS for name, node in pack.browser_nodes.items()},
}
"""Classes that never appear in a prompt. A pack's entry applies only if the catalog has no class of that name."""

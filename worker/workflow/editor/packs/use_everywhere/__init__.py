"""cg-use-everywhere: nodes that send what is linked into them to every input that fits, without a link."""

from worker.workflow.editor.packs.use_everywhere.links import USE_EVERYWHERE

__all__ = ["USE_EVERYWHERE"]

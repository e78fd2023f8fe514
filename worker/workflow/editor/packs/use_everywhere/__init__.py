"""cg-use-everywhere: nodes that broadcast their inputs to every unconnected input of a fitting type."""

from worker.workflow.editor.packs.use_everywhere.links import USE_EVERYWHERE

__all__ = ["USE_EVERYWHERE"]

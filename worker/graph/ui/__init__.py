"""What the editor saves, turned into the prompt that the editor would have sent (frontend 1.49.6, ComfyUI 0.33.0)."""

from worker.graph.ui.conversion import Conversion, Surroundings, convert
from worker.graph.ui.javascript import stringify
from worker.graph.ui.saved import is_ui

__all__ = ["Conversion", "Surroundings", "convert", "is_ui", "stringify"]

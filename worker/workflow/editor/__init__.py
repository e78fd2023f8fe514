"""Conversion of the editor's workflow files to the prompts that it would send (frontend 1.49.6, ComfyUI 0.33.0)."""

from worker.workflow.editor.conversion import Conversion, convert
from worker.workflow.editor.javascript import stringify
from worker.workflow.editor.packs.pack_rules import ConversionContext
from worker.workflow.prompt import is_ui

__all__ = ["Conversion", "ConversionContext", "convert", "is_ui", "stringify"]

"""Repairs of prompts that ComfyUI would reject, where the intended meaning is certain.

    request = prepare_request(request, catalog, own_files, SystemRandom())

A prompt that ComfyUI accepts is never changed: each rule starts from something that ComfyUI rejects.
"""

from worker.workflow.repairs.prepare import PreparedPrompt, prepare_prompt, prepare_request
from worker.workflow.repairs.repair import RepairedPrompt, repair

__all__ = ["PreparedPrompt", "RepairedPrompt", "prepare_prompt", "prepare_request", "repair"]

"""Prompts that ComfyUI would refuse, put right where what was sent has one certain meaning.

    request = prepare_request(request, catalog, own, SystemRandom())

A prompt that ComfyUI accepts as it is stays as it is: each rule begins with something that ComfyUI refuses.
"""

from worker.workflow.repairs.prepare import PreparedPrompt, prepare_prompt, prepare_request
from worker.workflow.repairs.repair import RepairedPrompt, repair

__all__ = ["PreparedPrompt", "RepairedPrompt", "prepare_prompt", "prepare_request", "repair"]

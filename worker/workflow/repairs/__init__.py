"""Prompts that ComfyUI would refuse, put right where what was sent has one certain meaning.

    request = ready_request(request, catalog, own, SystemRandom())

A prompt that ComfyUI accepts as it is stays as it is: each rule begins with something that ComfyUI refuses.
"""

from worker.workflow.repairs.ready import ReadyPrompt, ready_prompt, ready_request
from worker.workflow.repairs.repair import RepairedPrompt, repair

__all__ = ["ReadyPrompt", "RepairedPrompt", "ready_prompt", "ready_request", "repair"]

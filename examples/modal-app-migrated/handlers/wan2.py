"""Wan 2.2: a video from text."""

from costs import with_cost
from utils.comfyui import execute_workflow, load_graph, process_video_result, random_seed

FRAMES_PER_SECOND = 16


@with_cost
def generate_wan2_video(prompt, negative_prompt="", seconds=5, **kwargs):
    """Return a video for a prompt as base64."""
    workflow = load_graph("wan2")
    workflow["positive"]["inputs"]["text"] = prompt
    if negative_prompt:
        workflow["negative"]["inputs"]["text"] = negative_prompt
    workflow["size"]["inputs"].update(
        width=kwargs.get("width", 640),
        height=kwargs.get("height", 640),
        length=int(seconds * FRAMES_PER_SECOND) // 4 * 4 + 1,
    )
    workflow["high_noise"]["inputs"]["noise_seed"] = random_seed(kwargs.get("seed"))
    result = execute_workflow(workflow, timeout=1800)
    return process_video_result(result)

"""FLUX.1 schnell: an image from text in four steps."""

from costs import with_cost
from utils.comfyui import build_workflow, execute_workflow, process_image_result


@with_cost
def generate_flux_image(prompt, negative_prompt="", **kwargs):
    """Return an image for a prompt as base64."""
    workflow = build_workflow(
        prompt=prompt,
        negative_prompt=negative_prompt,
        model="flux1-schnell-fp8.safetensors",
        width=kwargs.get("width", 1024),
        height=kwargs.get("height", 1024),
        steps=kwargs.get("steps", 4),
        cfg=kwargs.get("cfg", 1.0),
        seed=kwargs.get("seed"),
    )
    result = execute_workflow(workflow)
    return process_image_result(result)

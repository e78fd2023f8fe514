"""FLUX.1 dev with a LoRA."""

from costs import with_cost
from utils.comfyui import build_workflow, execute_workflow, process_image_result


@with_cost
def generate_lora_image(prompt, lora_name, lora_strength=1.0, negative_prompt="", **kwargs):
    """Return an image in the style of a LoRA as base64. `lora_name` is a file in the folder `loras`."""
    if not lora_name.endswith(".safetensors"):
        lora_name += ".safetensors"
    workflow = build_workflow(
        prompt=prompt,
        negative_prompt=negative_prompt,
        model="flux1-dev-fp8.safetensors",
        width=kwargs.get("width", 1024),
        height=kwargs.get("height", 1024),
        steps=kwargs.get("steps", 20),
        cfg=kwargs.get("cfg", 1.0),
        seed=kwargs.get("seed"),
    )
    sampler, encoders = workflow["sampler"]["inputs"], ("positive", "negative")
    workflow["lora"] = {
        "class_type": "LoraLoader",
        "inputs": {
            "model": sampler["model"],
            "clip": workflow["positive"]["inputs"]["clip"],
            "lora_name": lora_name,
            "strength_model": lora_strength,
            "strength_clip": lora_strength,
        },
    }
    sampler["model"] = ["lora", 0]
    for name in encoders:
        workflow[name]["inputs"]["clip"] = ["lora", 1]
    result = execute_workflow(workflow)
    return process_image_result(result)

"""Any workflow in ComfyUI's API format, and Denrisi: Z-Image with the samplers of RES4LYF."""

from costs import with_cost
from utils.comfyui import execute_comfyui_workflow, load_graph, process_image_result, random_seed, upload_image
from utils.image_utils import decode_base64_to_image


@with_cost
def run_custom_workflow(workflow, images=None, timeout=900):
    """Run a workflow and return its images as base64.

    `images` maps file names, as LoadImage nodes have them, to pictures as base64.
    """
    names = {name: upload_image(decode_base64_to_image(text), name) for name, text in (images or {}).items()}
    for node in workflow.values():
        if node["class_type"] == "LoadImage":
            image = node["inputs"]["image"]
            node["inputs"]["image"] = names.get(image, image)
    result = execute_comfyui_workflow(workflow, timeout=timeout)
    return process_image_result(result)


@with_cost
def generate_denrisi_image(prompt, **kwargs):
    """Return an image by Z-Image and a sampler of RES4LYF as base64."""
    workflow = load_graph("denrisi")
    workflow["positive"]["inputs"]["text"] = prompt
    workflow["size"]["inputs"].update(width=kwargs.get("width", 1024), height=kwargs.get("height", 1024))
    workflow["sampler"]["inputs"].update(
        sampler_name=kwargs.get("sampler", "multistep/res_2m"),
        steps=kwargs.get("steps", 8),
        seed=random_seed(kwargs.get("seed")),
    )
    result = execute_comfyui_workflow(workflow)
    return process_image_result(result)

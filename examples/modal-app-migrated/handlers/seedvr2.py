"""SeedVR2: a larger picture with more detail."""

from costs import with_cost
from utils.comfyui import execute_workflow, load_graph, process_image_result, random_seed, upload_image
from utils.image_utils import decode_base64_to_image


@with_cost
def upscale_seedvr2_image(image, scale=2.0, **kwargs):
    """Return a picture in more detail as base64. `image` is a picture as base64."""
    workflow = load_graph("seedvr2")
    workflow["image"]["inputs"]["image"] = upload_image(decode_base64_to_image(image), "small.png")
    workflow["resize"]["inputs"]["resize_type.multiplier"] = float(scale)
    workflow["sampler"]["inputs"]["seed"] = random_seed(kwargs.get("seed"))
    result = execute_workflow(workflow, timeout=900)
    return process_image_result(result)

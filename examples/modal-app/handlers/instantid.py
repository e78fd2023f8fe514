"""InstantID: a portrait with the face of a picture."""

from costs import with_cost
from utils.comfyui import execute_comfyui_workflow, load_graph, process_image_result, random_seed, upload_image
from utils.image_utils import decode_base64_to_image

MAX_FACE_PIXELS = 1024


@with_cost
def generate_instantid_image(prompt, face_image, negative_prompt="", **kwargs):
    """Return a portrait as base64. `face_image` is a picture of the face as base64."""
    face = decode_base64_to_image(face_image).convert("RGB")
    face.thumbnail((MAX_FACE_PIXELS, MAX_FACE_PIXELS))

    workflow = load_graph("instantid")
    workflow["face"]["inputs"]["image"] = upload_image(face, "face.png")
    workflow["positive"]["inputs"]["text"] = prompt
    if negative_prompt:
        workflow["negative"]["inputs"]["text"] = negative_prompt
    workflow["apply"]["inputs"]["weight"] = kwargs.get("identity_strength", 0.8)
    workflow["size"]["inputs"].update(width=kwargs.get("width", 1016), height=kwargs.get("height", 1016))
    workflow["sampler"]["inputs"].update(
        steps=kwargs.get("steps", 30), cfg=kwargs.get("cfg", 4.5), seed=random_seed(kwargs.get("seed"))
    )
    result = execute_comfyui_workflow(workflow)
    return process_image_result(result)

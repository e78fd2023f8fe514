"""Images as base64."""

import base64
import io

from PIL import Image


def encode_image_to_base64(path):
    """Return the bytes of a file as base64."""
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode("utf-8")


def decode_base64_to_image(text):
    """Return a PIL image from base64, with or without the head of a data URL."""
    if text.startswith("data:"):
        text = text.split(",", 1)[1]
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image

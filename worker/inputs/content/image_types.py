"""Image formats: recognised by the first bytes of a file, and which of them Pillow can open on this machine."""

from __future__ import annotations

from functools import cache

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM", "TGA")
"""Formats that are accepted. Formats that start other programs (EPS) or that no ComfyUI loader reads are left out."""
LIBRARIES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}
"""Formats that Pillow opens only with an optional library, and Pillow's name of that library."""
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    b"crx ": "Canon raw",
}
"""Brands of ISO media files that are images."""
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "DirectDraw"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "GIMP"),
)


def format_of(head: bytes) -> str | None:
    """Return the format of an image that begins with these bytes, or None if they match no image format."""
    if head[4:8] == b"ftyp":  # an ISO media file (ISO/IEC 14496-12). Its brand follows
        return BRANDS.get(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "SVG" if text.startswith((b"<?xml", b"<svg")) and b"<svg" in text else None


@cache
def supported_formats() -> tuple[str, ...]:
    """Return the formats that Pillow can open on this machine."""
    from PIL import features

    return tuple(name for name in FORMATS if name not in LIBRARIES or features.check(LIBRARIES[name]))


def not_an_image_message(head: bytes) -> str:
    """Return the error message for a file that begins with these bytes and that Pillow cannot open as an image."""
    supported = supported_formats()
    cure = f"send {', '.join(supported[:-1])} or {supported[-1]}"
    name = format_of(head)
    if name is None:
        return f"the node needs an image, and this file is not in a known image format: {cure}"
    if name in supported:
        return f"the node needs an image, and this {name} file cannot be read: it is damaged or incomplete"
    return f"the node needs an image, and this worker cannot open {name} files: {cure}"

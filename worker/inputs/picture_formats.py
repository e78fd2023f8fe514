"""Formats of pictures by their first bytes, and those that Pillow opens on this machine."""

from __future__ import annotations

from functools import cache

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM", "TGA")
"""Not those that start other programs (EPS) or that no loader of ComfyUI's expects."""
LIBRARIES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "JPEG": "jpg"}
"""Formats that Pillow opens only with a library that it may have been built without."""
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
    b"crx ": "Canon raw",
}
"""Brands of ISO media files that are pictures."""
BEGINNINGS = (
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
    """Return the format of a picture that begins with these bytes; None where they show none."""
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    found = next((name for beginning, name in BEGINNINGS if head.startswith(beginning)), None)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "SVG" if found is None and text.startswith((b"<?xml", b"<svg")) and b"<svg" in text else found


@cache
def opened_formats() -> tuple[str, ...]:
    """Return the formats that can be opened here."""
    from PIL import features

    return tuple(name for name in FORMATS if name not in LIBRARIES or features.check(LIBRARIES[name]))


def why_not_opened(head: bytes) -> str:
    """Return why a file that begins with these bytes is no picture for a node, and what to send."""
    here = opened_formats()
    cure = f"send {', '.join(here[:-1])} or {here[-1]}"
    found = format_of(head)
    if found is None:
        return f"the node wants a picture, and this is none that it could open: {cure}"
    if found in here:
        return f"the node wants a picture, and this begins like {found} and can't be read: it is damaged or incomplete"
    return f"the node wants a picture, and {found} can't be opened here: {cure}"

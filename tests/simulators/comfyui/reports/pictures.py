"""The input files with which a real ComfyUI was run for tests/data/reports.json. They are the same each time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image

SIZE = 64, 48
TURNS = (2, 3, 4, 5, 6, 7, 8)
_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_pictures(base: Path) -> None:
    """Write images of all modes and formats, and files that are not images, to the input folder."""
    folder = base / "input"
    folder.mkdir(exist_ok=True)
    grey, color = _ramp("L"), _ramp("RGB")
    alpha = color.copy()
    alpha.putalpha(grey)
    grey.save(folder / "g8.png")
    grey.save(folder / "g8.jpg", quality=95)
    grey.convert("1").save(folder / "bw.png")
    for name in ("rgb.png", "rgb.bmp", "rgb.tiff"):
        color.save(folder / name)
    color.save(folder / "rgb.webp", lossless=True)
    alpha.save(folder / "rgba.png")
    alpha.save(folder / "rgba.webp", lossless=True)
    Image.merge("LA", (grey, grey)).save(folder / "la.png")
    color.quantize(16).save(folder / "pal.png")
    color.quantize(16).save(folder / "palt.png", transparency=3)
    color.quantize(16).save(folder / "pal.gif")
    color.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    color.save(folder / "wrong.jpg", "PNG")
    for turn in TURNS:
        exif = Image.Exif()
        exif[0x0112] = turn
        color.save(folder / f"exif{turn}.png", exif=exif)
    for channels, name in ((1, "g16.png"), (2, "la16.png"), (3, "rgb16.png"), (4, "rgba16.png")):
        (folder / name).write_bytes(_deep(channels))
    frames = [Image.new("RGB", SIZE, (value, 0, 0)) for value in (0, 80, 160)]
    for name in ("anim.gif", "anim.webp", "anim.png"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    (folder / "zero.png").write_bytes(b"")
    (folder / "text.png").write_bytes(b"hello")


def write_models(base: Path) -> None:
    """Write two 3D files to the input folder."""
    folder = base / "input" / "3d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x.glb").write_bytes(b"glTF1234")
    (folder / "y.ply").write_bytes(b"ply\n")


def write_numbered(base: Path) -> None:
    """Write files to output, some of whose names count for the next number."""
    numbered = (
        "o_00007_.png",
        "o_12.txt",
        "O_99_.png",
        "ox_50_.png",
        "o_00020_00030_.png",
        "o_x_80.png",
        "o_16abc_.png",
    )
    for name in numbered:
        (base / "output" / name).write_bytes(b"")


def remove_files(base: Path) -> None:
    """Delete all files in output and temp."""
    for kind in ("output", "temp"):
        for path in (base / kind).rglob("*"):
            if path.is_file():
                path.unlink()


def _ramp(mode: str) -> Image.Image:
    """Return a horizontal gradient. In colour, red rises, green falls, and blue is constant."""
    width, height = SIZE
    values = [255 * x // (width - 1) for x in range(width)]
    grey = Image.new("L", SIZE)
    grey.putdata(values * height)
    if mode == "L":
        return grey
    return Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("L", SIZE, 127)))


def _deep(channels: int) -> bytes:
    """Return a 16-bit PNG file with the same gradient in all channels."""
    width, height = SIZE
    row = b"\0" + b"".join(struct.pack(">H", 65535 * x // (width - 1)) * channels for x in range(width))
    header = struct.pack(">2I5B", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(row * height)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


SETUPS = {"pictures": write_pictures, "models": write_models, "numbered": write_numbered, "remove": remove_files}

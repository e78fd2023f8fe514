"""Small media files of each format, made by the embedded engine's writers, by Pillow and by hand."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable

from PIL import Image

from worker.simulators.comfyui.media.flac import write_flac
from worker.simulators.comfyui.media.mp4 import write_mp4
from worker.simulators.comfyui.media.silence import write_mp3, write_opus
from worker.simulators.comfyui.media.webm import vp8_frame, write_webm

SIZE = (48, 32)
FRAMES, FPS = 10, 8.0
SECONDS = FRAMES / FPS


def picture(format: str, number: int = 0, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", SIZE, (number * 20, 0, 99)).save(file, format, **options)  # type: ignore[arg-type]
    return file.getvalue()


def animation(format: str) -> bytes:
    file = io.BytesIO()
    first, *rest = [Image.new("RGB", SIZE, (number * 20, 0, 99)) for number in range(FRAMES)]
    first.save(file, format, save_all=True, append_images=rest, duration=1000 / FPS)
    return file.getvalue()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def mp4() -> bytes:
    return write_mp4([picture("JPEG", number) for number in range(FRAMES)], SIZE, FPS, "a comment")


def long_mp4() -> bytes:
    """Return boxes of version 1, with the header first and a track that is rotated by 90 degrees."""
    moov = box(b"mvhd", struct.pack(">I2QIQ", 1 << 24, 0, 0, 1000, 90_500))
    matrix = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    tkhd = struct.pack(">I2Q2IQ", 1 << 24, 0, 0, 1, 0, 90_500) + bytes(16) + matrix
    tkhd += struct.pack(">2I", SIZE[1] << 16, SIZE[0] << 16)
    sound = box(b"trak", box(b"tkhd", tkhd) + box(b"mdia", box(b"hdlr", struct.pack(">II4s", 0, 0, b"soun"))))
    film = box(b"trak", box(b"tkhd", tkhd) + box(b"mdia", box(b"hdlr", struct.pack(">II4s", 0, 0, b"vide"))))
    return box(b"ftyp", b"isom") + box(b"moov", moov + sound + film)


def fragmented_mp4() -> bytes:
    """Return an MP4 whose duration is only in `mehd`."""
    moov = box(b"mvhd", struct.pack(">5I", 0, 0, 0, 1000, 0)) + box(b"mvex", box(b"mehd", struct.pack(">2I", 0, 1250)))
    return box(b"ftyp", b"iso5") + box(b"moov", moov)


def avif() -> bytes:
    sizes = box(b"ispe", struct.pack(">3I", 0, 16, 16)) + box(b"ispe", struct.pack(">3I", 0, *SIZE))
    return box(b"ftyp", b"avif") + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", sizes)))


def webm() -> bytes:
    frames = [vp8_frame(picture("WEBP", number)) for number in range(FRAMES)]
    return write_webm(frames, SIZE, FPS, "a comment")


def live_webm() -> bytes:
    """Return a segment of unknown length without a duration, as a live recording has it."""
    whole = webm()
    segment, duration = whole.index(b"\x18\x53\x80\x67") + 4, whole.index(b"\x44\x89")
    unknown, void = b"\x01" + b"\xff" * 7, b"\xec\x90" + bytes(16)
    return whole[:segment] + unknown + whole[segment + 8 : duration] + void + whole[duration + 18 :]


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(int(SECONDS * 8000) * 4))
    return file.getvalue()


def streamed_wav() -> bytes:
    """Return a WAV that was written to a pipe, so its lengths are missing."""
    data = bytearray(wav())
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    struct.pack_into("<I", data, 40, 0xFFFFFFFF)
    return bytes(data)


def avi() -> bytes:
    avih = struct.pack("<10I", 125_000, 0, 0, 0, FRAMES, 0, 1, 0, *SIZE) + bytes(16)
    header = b"hdrlavih" + struct.pack("<I", len(avih)) + avih
    body = b"AVI LIST" + struct.pack("<I", len(header)) + header
    return b"RIFF" + struct.pack("<I", len(body)) + body


def aac() -> bytes:
    """Return ADTS frames of 8 kHz with 1,024 samples each."""
    frame = bytes([0xFF, 0xF1, 0x40 | 11 << 2, 0x40, 16 >> 3, (16 & 7) << 5 | 0x1F, 0xFC]) + bytes(9)
    return frame * 100


def counted_mp3() -> bytes:
    """Return frames of changing bit rates, with the frame count and the encoder's padding in the first one."""
    first = bytearray(b"\xff\xfb\x90\x00" + bytes(413))
    first[36:48] = b"Info" + struct.pack(">2I", 1, 40)
    first[48:52] = b"LAME"
    first[48 + 21 : 48 + 24] = (576 << 12 | 1000).to_bytes(3, "big")
    return bytes(first) + (b"\xff\xfb\x50\x00" + bytes(205)) * 40


def exr() -> bytes:
    window = struct.pack("<4i", 0, 0, SIZE[0] - 1, SIZE[1] - 1)
    return b"v/1\x01" + bytes(4) + b"displayWindow\0box2i\0\x10\0\0\0" + window


def svg(attributes: str) -> Callable[[], bytes]:
    text = f"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg' {attributes}><g/></svg>"
    return text.encode


Facts = tuple[int | None, int | None, float | None, int | None]
STILL: Facts = (*SIZE, None, None)
MOVING: Facts = (*SIZE, SECONDS, FRAMES)
SOUND: Facts = (None, None, SECONDS, None)
SAMPLES: dict[str, tuple[Callable[[], bytes], Facts]] = {
    "a.mp4": (mp4, MOVING),
    "a.m4v": (mp4, MOVING),
    "a.mov": (long_mp4, (*SIZE, 90.5, None)),
    "mehd.mp4": (fragmented_mp4, SOUND),
    "a.webm": (webm, MOVING),
    "a.mkv": (webm, MOVING),
    "live.webm": (live_webm, STILL),
    "a.avi": (avi, MOVING),
    "a.gif": (lambda: animation("GIF"), (*SIZE, 1.2, FRAMES)),  # GIF counts in hundredths
    "animated.webp": (lambda: animation("WEBP"), MOVING),
    "animated.png": (lambda: animation("PNG"), MOVING),
    "a.apng": (lambda: animation("PNG"), MOVING),
    "still.gif": (lambda: picture("GIF"), STILL),
    "a.png": (lambda: picture("PNG"), STILL),
    "a.webp": (lambda: picture("WEBP"), STILL),
    "lossless.webp": (lambda: picture("WEBP", lossless=True), STILL),
    "exif.webp": (lambda: picture("WEBP", exif=b"Exif\0\0MM"), STILL),
    "a.jpg": (lambda: picture("JPEG"), STILL),
    "progressive.jpg": (lambda: picture("JPEG", progressive=True, comment=b"x" * 70), STILL),
    "a.bmp": (lambda: picture("BMP"), STILL),
    "a.tiff": (lambda: picture("TIFF"), STILL),
    "a.avif": (avif, STILL),
    "a.exr": (exr, STILL),
    "a.svg": (svg('width="48" height="32px"'), STILL),
    "box.svg": (svg('width="100%" height="5cm" viewBox="-5 0 48 32"'), STILL),
    "none.svg": (svg('width="100%"'), (None, None, None, None)),
    "wrong-extension.jpg": (lambda: picture("PNG"), STILL),
    "a.flac": (lambda: write_flac(SECONDS, 8000, 1, 440.0, "x"), SOUND),
    "a.mp3": (lambda: write_mp3(SECONDS, "x"), (None, None, 1.254, None)),
    "counted.mp3": (counted_mp3, (None, None, round((40 * 1152 - 1576) / 44_100, 3), None)),
    "a.opus": (lambda: write_opus(SECONDS, "x"), SOUND),
    "a.wav": (wav, SOUND),
    "streamed.wav": (streamed_wav, SOUND),
    "a.aac": (aac, (None, None, 12.8, None)),
    "a.txt": (lambda: b"GIF is not what this is", (None, None, None, None)),
}
"""By name: what makes the file, and what it has to be found to be."""

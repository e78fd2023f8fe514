"""Clips: made, taken apart, and saved as files that move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Clip, Pictures, Sound, Thing, Trace
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result, Site
from worker.simulators.comfyui.folders import SavedFile
from worker.simulators.comfyui.media.mp4 import write_mp4
from worker.simulators.comfyui.media.webm import vp8_frame, write_webm
from worker.simulators.comfyui.node_functions.saving import comment, metadata, place

_MODEL_TAG = 0x0110
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def create_video(call: NodeCall) -> Result:
    sound = call.inputs.get("audio")
    clip = Clip(call.pictures("images"), _rate(call, "fps"), sound if isinstance(sound, Sound) else None)
    return Result((clip,))


def video_components(call: NodeCall) -> Result:
    clip = coerce.clip(call.inputs.get("video"))
    return Result((clip.pictures, clip.sound or coerce.sound(clip.pictures), clip.fps, 8, "8-bit"))


def load_video(call: NodeCall) -> Result:
    """A stand-in: no decoder here."""
    trace = Trace(text=call.text("file"))
    return Result((Clip(coerce.pictures(Thing("VIDEO", trace)), coerce.DEFAULT_FPS),))


def save_video(call: NodeCall) -> Result:
    """An MP4 of JPEG pictures, whatever codec was asked for; it has no sound."""
    clip = coerce.clip(call.inputs.get("video"))
    path, saved = place(call, call.text("filename_prefix", "video/ComfyUI"), clip.pictures.size).next("mp4")
    frames = _encoded(clip.pictures, _jpeg)
    path.write_bytes(write_mp4(frames, clip.pictures.size, clip.fps, comment(clip.trace)))
    return Result((clip,), {"images": [saved.listed()], "animated": [True]})


def save_webm(call: NodeCall) -> Result:
    """A WebM of VP8 key frames, whatever codec was asked for."""
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("webm")
    frames = _encoded(pictures, _vp8)
    path.write_bytes(write_webm(frames, pictures.size, _rate(call, "fps"), comment(pictures.trace)))
    return Result((pictures,), {"images": [saved.listed()], "animated": [True]})


def combine_video(call: NodeCall) -> Result:
    """VideoHelperSuite's saver: shown under `gifs`; an animated picture where one is asked for, else an MP4."""
    pictures = coerce.pictures(call.inputs.get("images"))
    fps = _rate(call, "frame_rate")
    folder_type = "output" if call.flag("save_output", default=True) else "temp"
    slots = call.site.folders.place(call.text("filename_prefix", "AnimateDiff"), folder_type, pictures.size)
    kind = call.text("format", "video/h264-mp4")
    if kind.startswith("image/"):
        path, saved = slots.next(kind.removeprefix("image/"), tail="")
        _save_frames(path, pictures, fps)
    else:
        path, saved = slots.next("mp4", tail="")
        path.write_bytes(write_mp4(_encoded(pictures, _jpeg), pictures.size, fps, comment(pictures.trace)))
    shown = {**saved.listed(), "format": kind, "frame_rate": fps, "fullpath": str(path)}
    return Result(([True, [str(path)]],), {"gifs": [shown]})


def save_animated_webp(call: NodeCall) -> Result:
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("webp")
    lossless, quality = call.flag("lossless", default=True), call.integer("quality", 80)
    method = WEBP_METHODS[call.text("method", "default")]
    _save_frames(
        path, pictures, _rate(call, "fps"), exif=_exif(call.site), lossless=lossless, quality=quality, method=method
    )
    return Result((pictures,), _animation(saved, pictures))


def save_animated_png(call: NodeCall) -> Result:
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("png")
    level = call.integer("compress_level", 4)
    _save_frames(path, pictures, _rate(call, "fps"), pnginfo=_late_texts(call.site), compress_level=level)
    return Result((pictures,), _animation(saved, pictures))


def _animation(saved: SavedFile, pictures: Pictures) -> dict[str, list[object]]:
    """Only what moves is reported as such."""
    files: list[object] = [saved.listed()]
    return {"images": files, "animated": [True]} if len(pictures.frames) > 1 else {"images": files}


def _rate(call: NodeCall, name: str) -> float:
    """Pictures a second; a simulated node may have made a 0."""
    rate = call.number(name, coerce.DEFAULT_FPS)
    return rate if rate > 0 else coerce.DEFAULT_FPS


def _save_frames(path: Path, pictures: Pictures, fps: float, **options: int | PngInfo | Image.Exif) -> None:
    first, *rest = pictures.frames
    first.save(path, None, save_all=True, append_images=rest, duration=round(1000 / fps), **options)


def _exif(site: Site) -> Image.Exif:
    """What savers hide, as camera tags from Model downwards: ComfyUI's way in WebP files."""
    exif = Image.Exif()
    for offset, (key, text) in enumerate(metadata(site).items()):
        exif[_MODEL_TAG - offset] = f"{key}:{text}"
    return exif


def _late_texts(site: Site) -> PngInfo:
    """The same as chunks of ComfyUI's own behind the pictures of an animated PNG."""
    chunks = PngInfo()
    for key, text in metadata(site).items():
        chunks.add(b"comf", key.encode("latin-1", "strict") + b"\0" + text.encode("latin-1", "strict"), after_idat=True)
    return chunks


def _encoded(pictures: Pictures, encode: Callable[[Image.Image], bytes]) -> list[bytes]:
    """Encode each frame; those that are one and the same object once."""
    known: dict[int, bytes] = {}
    for frame in pictures.frames:
        if id(frame) not in known:
            known[id(frame)] = encode(frame)
    return [known[id(frame)] for frame in pictures.frames]


def _jpeg(frame: Image.Image) -> bytes:
    body = BytesIO()
    frame.convert("RGB").save(body, format="JPEG", quality=85)
    return body.getvalue()


def _vp8(frame: Image.Image) -> bytes:
    body = BytesIO()
    frame.convert("RGB").save(body, format="WEBP", quality=60, method=0)
    return vp8_frame(body.getvalue())


NODES: Mapping[str, Node] = {
    "CreateVideo": create_video,
    "GetVideoComponents": video_components,
    "LoadVideo": load_video,
    "SaveVideo": save_video,
    "SaveWEBM": save_webm,
    "VHS_VideoCombine": combine_video,
    "SaveAnimatedWEBP": save_animated_webp,
    "SaveAnimatedPNG": save_animated_png,
}

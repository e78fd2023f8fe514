"""Clips, sounds, latents and models that leave as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.comfyui.embedded import conjure, placeholder
from worker.comfyui.embedded.calling import Call, Node, Result
from worker.comfyui.embedded.folders import SaveSlots, temp_prefix
from worker.comfyui.embedded.media.flac import write_flac
from worker.comfyui.embedded.media.models import write_glb, write_safetensors, write_svg
from worker.comfyui.embedded.media.mp4 import write_mp4
from worker.comfyui.embedded.media.silence import write_mp3, write_opus
from worker.comfyui.embedded.media.webm import vp8_frame, write_webm
from worker.comfyui.embedded.nodes.saving import place, png_info
from worker.comfyui.embedded.values import Clip, Pictures, Sound, Thing, Trace, trace_of

LATENT_SCALE = 8
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def create_video(call: Call) -> Result:
    sound = call.inputs.get("audio")
    clip = Clip(call.pictures("images"), _rate(call, "fps"), sound if isinstance(sound, Sound) else None)
    return Result((clip,))


def video_components(call: Call) -> Result:
    clip = conjure.clip(call.inputs.get("video"))
    return Result((clip.pictures, clip.sound or conjure.sound(clip.pictures), clip.fps, 8, "8-bit"))


def save_video(call: Call) -> Result:
    """An MP4 of JPEG pictures, whatever codec was asked for; it has no sound."""
    clip = conjure.clip(call.inputs.get("video"))
    path, saved = place(call, call.text("filename_prefix", "video/ComfyUI"), clip.pictures.size).next("mp4")
    frames = _encoded(clip.pictures, _jpeg)
    path.write_bytes(write_mp4(frames, clip.pictures.size, clip.fps, _comment(clip.trace)))
    return Result((clip,), {"images": [saved.listed()], "animated": [True]})


def save_webm(call: Call) -> Result:
    """A WebM of VP8 key frames, whatever codec was asked for."""
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("webm")
    frames = _encoded(pictures, _vp8)
    path.write_bytes(write_webm(frames, pictures.size, _rate(call, "fps"), _comment(pictures.trace)))
    return Result((pictures,), {"images": [saved.listed()], "animated": [True]})


def combine_video(call: Call) -> Result:
    """VideoHelperSuite's saver: shown under `gifs`; an animated picture where one is asked for, else an MP4."""
    pictures = conjure.pictures(call.inputs.get("images"))
    fps = _rate(call, "frame_rate")
    folder_type = "output" if call.flag("save_output", default=True) else "temp"
    slots = call.site.folders.place(call.text("filename_prefix", "AnimateDiff"), folder_type, pictures.size)
    kind = call.text("format", "video/h264-mp4")
    if kind.startswith("image/"):
        path, saved = slots.next(kind.removeprefix("image/"), tail="")
        _save_frames(path, pictures, fps)
    else:
        path, saved = slots.next("mp4", tail="")
        path.write_bytes(write_mp4(_encoded(pictures, _jpeg), pictures.size, fps, _comment(pictures.trace)))
    shown = {**saved.listed(), "format": kind, "frame_rate": fps, "fullpath": str(path)}
    return Result(([True, [str(path)]],), {"gifs": [shown]})


def save_animated_webp(call: Call) -> Result:
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("webp")
    lossless, quality = call.flag("lossless", default=True), call.integer("quality", 80)
    method = WEBP_METHODS[call.text("method", "default")]
    _save_frames(path, pictures, _rate(call, "fps"), lossless=lossless, quality=quality, method=method)
    return Result((pictures,), {"images": [saved.listed()], "animated": [True]})


def save_animated_png(call: Call) -> Result:
    pictures = call.pictures("images")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size).next("png")
    level = call.integer("compress_level", 4)
    _save_frames(path, pictures, _rate(call, "fps"), pnginfo=png_info(call.site), compress_level=level)
    return Result((pictures,), {"images": [saved.listed()], "animated": [True]})


def save_audio(call: Call) -> Result:
    return _save_audio(call, "flac")


def save_audio_mp3(call: Call) -> Result:
    return _save_audio(call, "mp3")


def save_audio_opus(call: Call) -> Result:
    return _save_audio(call, "opus")


def save_audio_as(call: Call) -> Result:
    """In the format that the widget says, as far as there is a writer for it."""
    wanted = call.text("format", "flac")
    return _save_audio(call, wanted if wanted in WRITERS else "flac")


def preview_audio(call: Call) -> Result:
    sound = conjure.sound(call.inputs.get("audio"))
    return _write_audio(sound, "flac", call.site.folders.place(temp_prefix(), "temp"))


def save_latent(call: Call) -> Result:
    """A latent of zeros in the shape that it would have."""
    latent = call.latent("samples")
    path, saved = place(call, call.text("filename_prefix", "latents/ComfyUI")).next("latent")
    shape = [latent.batch, latent.channels, latent.height // LATENT_SCALE, latent.width // LATENT_SCALE]
    if latent.length > 1:
        shape.insert(2, (latent.length - 1) // 4 + 1)
    path.write_bytes(write_safetensors(shape, {"prompt": json.dumps(call.site.prompt)}))
    return Result((latent,), {"latents": [saved.listed()]})


def save_glb(call: Call) -> Result:
    """One triangle, whatever the model."""
    value = call.inputs.get("mesh", call.inputs.get("model_3d"))
    path, saved = place(call, call.text("filename_prefix", "3d/ComfyUI")).next("glb")
    path.write_bytes(write_glb(_comment(trace_of(value))))
    return Result((value,), {"3d": [saved.listed()]})


def save_svg(call: Call) -> Result:
    value = call.inputs.get("svg")
    path, saved = place(call, call.text("filename_prefix", "svg/ComfyUI")).next("svg")
    path.write_bytes(write_svg(_comment(trace_of(value))))
    return Result((value,), {"images": [saved.listed()]})


def load_video(call: Call) -> Result:
    """A stand-in: no decoder here."""
    trace = Trace(text=call.text("file"))
    return Result((Clip(conjure.pictures(Thing("VIDEO", trace)), conjure.DEFAULT_FPS),))


def load_audio(call: Call) -> Result:
    """A stand-in of one second."""
    return Result((Sound(1.0, trace=Trace(text=call.text("audio"))),))


def _rate(call: Call, name: str) -> float:
    """Pictures a second; a simulated node may have made a 0."""
    rate = call.number(name, conjure.DEFAULT_FPS)
    return rate if rate > 0 else conjure.DEFAULT_FPS


def _save_audio(call: Call, kind: str) -> Result:
    sound = conjure.sound(call.inputs.get("audio"))
    return _write_audio(sound, kind, place(call, call.text("filename_prefix", "audio/ComfyUI")))


def _write_audio(sound: Sound, kind: str, slots: SaveSlots) -> Result:
    path, saved = slots.next(kind, tail="")
    path.write_bytes(WRITERS[kind](sound))
    return Result((sound,), {"audio": [saved.listed()]})


def _flac(sound: Sound) -> bytes:
    tone = None if sound.seed is None else 220.0 + sound.seed % 660
    return write_flac(sound.seconds, sound.sample_rate, sound.channels, tone, _comment(sound.trace))


def _save_frames(path: Path, pictures: Pictures, fps: float, **options: int | PngInfo) -> None:
    first, *rest = pictures.frames
    first.save(path, None, save_all=True, append_images=rest, duration=round(1000 / fps), **options)


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


def _comment(trace: Trace) -> str:
    return f"{placeholder.LABEL}; seed {trace.seed}; {trace.text[:400]}"


WRITERS: Mapping[str, Callable[[Sound], bytes]] = {
    "flac": _flac,
    "mp3": lambda sound: write_mp3(sound.seconds, _comment(sound.trace)),
    "opus": lambda sound: write_opus(sound.seconds, _comment(sound.trace)),
}

NODES: Mapping[str, Node] = {
    "CreateVideo": create_video,
    "GetVideoComponents": video_components,
    "SaveVideo": save_video,
    "SaveWEBM": save_webm,
    "VHS_VideoCombine": combine_video,
    "SaveAnimatedWEBP": save_animated_webp,
    "SaveAnimatedPNG": save_animated_png,
    "SaveAudio": save_audio,
    "SaveAudioMP3": save_audio_mp3,
    "SaveAudioOpus": save_audio_opus,
    "SaveAudioAdvanced": save_audio_as,
    "PreviewAudio": preview_audio,
    "SaveLatent": save_latent,
    "SaveGLB": save_glb,
    "Save3DAdvanced": save_glb,
    "SaveGaussianSplat": save_glb,
    "SavePointCloud": save_glb,
    "SaveSVGNode": save_svg,
    "LoadVideo": load_video,
    "LoadAudio": load_audio,
}

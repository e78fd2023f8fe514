"""Nodes that create, split and save videos and animated images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Audio, Images, OpaqueValue, Trace, Value, Video
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult, PromptContext
from worker.simulators.comfyui.folders import SavedFile
from worker.simulators.comfyui.media.mp4 import write_mp4
from worker.simulators.comfyui.media.webm import vp8_frame, write_webm
from worker.simulators.comfyui.node_functions.saving import file_comment, output_slots, workflow_metadata

_MODEL_TAG = 0x0110
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def create_video(call: NodeCall) -> NodeResult:
    """Return a video of the images, the rate and the optional audio."""
    audio = call.inputs.get("audio")
    video = Video(call.images("images"), _rate(call, "fps"), audio if isinstance(audio, Audio) else None)
    return NodeResult((video,))


def video_components(call: NodeCall) -> NodeResult:
    """Return a video's images, audio, frame rate, bit depth and the name of the bit depth."""
    video = coerce.video(call.inputs.get("video"))
    return NodeResult((video.images, video.audio or coerce.audio(video.images), video.fps, 8, "8-bit"))


def load_video(call: NodeCall) -> NodeResult:
    """Return a video of one placeholder image. The file is not decoded."""
    trace = Trace(text=call.text("file"))
    return NodeResult((Video(coerce.images(OpaqueValue("VIDEO", trace)), coerce.DEFAULT_FPS),))


def save_video(call: NodeCall) -> NodeResult:
    """Save an MP4 file of JPEG frames without audio, whatever codec the widget names."""
    video = coerce.video(call.inputs.get("video"))
    path, saved = output_slots(call, call.text("filename_prefix", "video/ComfyUI"), video.images.size).next("mp4")
    frames = _encoded(video.images, _jpeg)
    path.write_bytes(write_mp4(frames, video.images.size, video.fps, file_comment(video.trace)))
    return NodeResult((video,), {"images": [saved.as_json()], "animated": [True]})


def save_webm(call: NodeCall) -> NodeResult:
    """Save a WebM file of VP8 key frames, whatever codec the widget names."""
    images = call.images("images")
    path, saved = output_slots(call, call.text("filename_prefix", "ComfyUI"), images.size).next("webm")
    frames = _encoded(images, _vp8)
    path.write_bytes(write_webm(frames, images.size, _rate(call, "fps"), file_comment(images.trace)))
    return NodeResult((images,), {"images": [saved.as_json()], "animated": [True]})


def combine_video(call: NodeCall) -> NodeResult:
    """Save an animated image for `image/` formats, otherwise an MP4. It is reported under `gifs`."""
    images = coerce.images(call.inputs.get("images"))
    fps = _rate(call, "frame_rate")
    folder_type = "output" if call.flag("save_output", default=True) else "temp"
    slots = call.context.folders.save_slots(call.text("filename_prefix", "AnimateDiff"), folder_type, images.size)
    kind = call.text("format", "video/h264-mp4")
    if kind.startswith("image/"):
        path, saved = slots.next(kind.removeprefix("image/"), tail="")
        _save_frames(path, images, fps)
    else:
        path, saved = slots.next("mp4", tail="")
        path.write_bytes(write_mp4(_encoded(images, _jpeg), images.size, fps, file_comment(images.trace)))
    reported = {**saved.as_json(), "format": kind, "frame_rate": fps, "fullpath": str(path)}
    filenames: Value = [True, [str(path)]]  # VHS_FILENAMES: `save_output`, here always true, and the paths
    return NodeResult((filenames,), {"gifs": [reported]})


def save_animated_webp(call: NodeCall) -> NodeResult:
    """Save all images as one animated WebP file."""
    images = call.images("images")
    path, saved = output_slots(call, call.text("filename_prefix", "ComfyUI"), images.size).next("webp")
    lossless, quality = call.flag("lossless", default=True), call.integer("quality", 80)
    method = WEBP_METHODS[call.text("method", "default")]
    _save_frames(
        path, images, _rate(call, "fps"), exif=_exif(call.context), lossless=lossless, quality=quality, method=method
    )
    return NodeResult((images,), _animation_ui(saved, images))


def save_animated_png(call: NodeCall) -> NodeResult:
    """Save all images as one animated PNG file."""
    images = call.images("images")
    path, saved = output_slots(call, call.text("filename_prefix", "ComfyUI"), images.size).next("png")
    level = call.integer("compress_level", 4)
    _save_frames(path, images, _rate(call, "fps"), pnginfo=_trailing_texts(call.context), compress_level=level)
    return NodeResult((images,), _animation_ui(saved, images))


def _animation_ui(saved: SavedFile, images: Images) -> dict[str, list[object]]:
    """Return the `ui` output. Only a file with several frames is reported as animated."""
    files: list[object] = [saved.as_json()]
    return {"images": files, "animated": [True]} if len(images.frames) > 1 else {"images": files}


def _rate(call: NodeCall, name: str) -> float:
    """Return the frames per second. The default replaces 0, which a simulated node may return."""
    rate = call.number(name, coerce.DEFAULT_FPS)
    return rate if rate > 0 else coerce.DEFAULT_FPS


def _save_frames(path: Path, images: Images, fps: float, **options: int | PngInfo | Image.Exif) -> None:
    """Write the frames as one animated file in the format of the path's suffix."""
    first, *others = images.frames
    first.save(path, None, save_all=True, append_images=others, duration=round(1000 / fps), **options)


def _exif(context: PromptContext) -> Image.Exif:
    """Return the metadata as EXIF tags from Model downwards, as ComfyUI writes it to WebP files."""
    exif = Image.Exif()
    for offset, (key, text) in enumerate(workflow_metadata(context).items()):
        exif[_MODEL_TAG - offset] = f"{key}:{text}"
    return exif


def _trailing_texts(context: PromptContext) -> PngInfo:
    """Return the metadata as `comf` chunks after the frames, as ComfyUI writes it to animated PNG files."""
    chunks = PngInfo()
    for key, text in workflow_metadata(context).items():
        chunks.add(b"comf", key.encode("latin-1", "strict") + b"\0" + text.encode("latin-1", "strict"), after_idat=True)
    return chunks


def _encoded(images: Images, encode: Callable[[Image.Image], bytes]) -> list[bytes]:
    """Encode each frame. Frames that are the same object are encoded once."""
    encoded_by_id: dict[int, bytes] = {}
    for frame in images.frames:
        if id(frame) not in encoded_by_id:
            encoded_by_id[id(frame)] = encode(frame)
    return [encoded_by_id[id(frame)] for frame in images.frames]


def _jpeg(frame: Image.Image) -> bytes:
    """Return a frame as JPEG."""
    body = BytesIO()
    frame.convert("RGB").save(body, format="JPEG", quality=85)
    return body.getvalue()


def _vp8(frame: Image.Image) -> bytes:
    """Return a frame as a VP8 key frame."""
    body = BytesIO()
    frame.convert("RGB").save(body, format="WEBP", quality=60, method=0)
    return vp8_frame(body.getvalue())


NODES: Mapping[str, NodeFunction] = {
    "CreateVideo": create_video,
    "GetVideoComponents": video_components,
    "LoadVideo": load_video,
    "SaveVideo": save_video,
    "SaveWEBM": save_webm,
    "VHS_VideoCombine": combine_video,
    "SaveAnimatedWEBP": save_animated_webp,
    "SaveAnimatedPNG": save_animated_png,
}

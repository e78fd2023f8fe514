"""Video, audio and model files: the keys under which they are reported, and their contents."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.simulators.comfyui.client import EngineClient, Graph
from worker.simulators.comfyui.media.flac import write_flac
from worker.simulators.comfyui.media.models import write_glb, write_safetensors
from worker.simulators.comfyui.media.mp4 import write_mp4
from worker.simulators.comfyui.media.silence import write_mp3, write_opus
from worker.simulators.comfyui.media.webm import vp8_frame, write_webm


def two_node_prompt(source: str, inputs: dict[str, Any], saver_prompt: str, options: dict[str, Any]) -> Graph:
    """Return a prompt of two nodes."""
    return {
        "1": {"class_type": source, "inputs": inputs},
        "2": {"class_type": saver_prompt, "inputs": options},
    }


FRAMES = {"width": 32, "height": 16, "batch_size": 4, "color": 0xFF0000}
SOUND = {"duration": 1.5, "sample_rate": 44100, "channels": 2}
IMAGES, AUDIO = {"images": ["1", 0]}, {"audio": ["1", 0]}


@pytest.mark.parametrize(
    ("graph", "kind", "name", "animated"),
    [
        (
            two_node_prompt("EmptyImage", FRAMES, "SaveWEBM", IMAGES | {"codec": "vp9", "fps": 8.0, "crf": 32.0}),
            "images",
            "m_00001_.webm",
            [True],
        ),
        (
            two_node_prompt(
                "EmptyImage",
                FRAMES,
                "SaveAnimatedWEBP",
                IMAGES | {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"},
            ),
            "images",
            "m_00001_.webp",
            [True],
        ),
        (
            two_node_prompt("EmptyImage", FRAMES, "SaveAnimatedPNG", IMAGES | {"fps": 6.0, "compress_level": 4}),
            "images",
            "m_00001_.png",
            [True],
        ),
        (two_node_prompt("EmptyAudio", SOUND, "SaveAudio", AUDIO), "audio", "m_00001.flac", None),
        (two_node_prompt("EmptyAudio", SOUND, "SaveAudioMP3", AUDIO | {"quality": "V0"}), "audio", "m_00001.mp3", None),
        (
            two_node_prompt("EmptyAudio", SOUND, "SaveAudioOpus", AUDIO | {"quality": "128k"}),
            "audio",
            "m_00001.opus",
            None,
        ),
        (
            two_node_prompt(
                "EmptyLatentImage",
                {"width": 64, "height": 64, "batch_size": 1},
                "SaveLatent",
                {"samples": ["1", 0]},
            ),
            "latents",
            "m_00001_.latent",
            None,
        ),
    ],
)
async def test_savers_report_comfyuis_keys_and_names(
    client: EngineClient, graph: Graph, kind: str, name: str, animated: list[bool] | None
) -> None:
    """Each saver reports its file under ComfyUI's key and with ComfyUI's name."""
    graph["2"]["inputs"]["filename_prefix"] = "sub/m"
    output = (await client.run(graph))["outputs"]["2"]
    assert output[kind] == [{"filename": name, "subfolder": "sub", "type": "output"}]
    assert output.get("animated") == animated
    assert (client.base / "output" / "sub" / name).stat().st_size > 100


async def test_video_is_created_and_saved(client: EngineClient) -> None:
    """CreateVideo and SaveVideo write one MP4 file with a JPEG for each frame."""
    graph = two_node_prompt("EmptyImage", FRAMES, "CreateVideo", IMAGES | {"fps": 8.0})
    options = {"video": ["2", 0], "filename_prefix": "video/m", "format": "auto", "codec": "auto"}
    graph["3"] = {"class_type": "SaveVideo", "inputs": options}
    output = (await client.run(graph))["outputs"]["3"]
    assert output == {
        "images": [{"filename": "m_00001_.mp4", "subfolder": "video", "type": "output"}],
        "animated": [True],
    }
    assert jpegs_of((client.base / "output" / "video" / "m_00001_.mp4").read_bytes(), 4)


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each MP4 box."""
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        yield kind.decode("latin-1"), data[position + 8 : position + size]
        position += size


def jpegs_of(mp4: bytes, count: int) -> list[Image.Image]:
    """Return the images that the sample table of an MP4 file points to."""
    movie = dict(boxes(dict(boxes(mp4))["moov"]))
    information = dict(boxes(dict(boxes(dict(boxes(movie["trak"]))["mdia"]))["minf"]))
    table = dict(boxes(information["stbl"]))
    _, number, *sizes = struct.unpack(f">3I{count}I", table["stsz"][:4] + table["stsz"][4 : 12 + 4 * count])[1:]
    assert number == count
    _, _, *offsets = struct.unpack(f">2I{count}I", table["stco"])
    images = []
    for position, size in zip(offsets, sizes, strict=True):
        images.append(Image.open(BytesIO(mp4[position : position + size])))
        images[-1].load()
    return images


def encoded(form: str, color: str, **options: Any) -> bytes:
    """Return an image of one colour, encoded in a format."""
    body = BytesIO()
    Image.new("RGB", (32, 16), color).save(body, format=form, **options)
    return body.getvalue()


def test_mp4_sample_table_points_to_the_images() -> None:
    """The sample table of an MP4 file points to whole JPEG images in order."""
    frames = [encoded("JPEG", color) for color in ("red", "blue")]
    first, second = jpegs_of(write_mp4(frames, (32, 16), 8.0, "hé"), 2)
    assert first.size == (32, 16)
    assert first.getpixel((5, 5)) != second.getpixel((5, 5))


def test_mp4_stores_a_repeated_image_once() -> None:
    """Repeated images are stored once in an MP4 file, and all frames refer to them."""
    frames = [encoded("JPEG", color) for color in ("red", "blue")] * 50
    film = write_mp4(frames, (32, 16), 8.0, "")
    assert len(film) < len(frames[0]) * 10
    pixels = [image.getpixel((5, 5)) for image in jpegs_of(film, 100)]
    assert pixels[::2] == [pixels[0]] * 50 != pixels[1::2]


def test_webm_contains_the_frames_of_webp_files() -> None:
    """A WebM file contains the VP8 key frames of lossy WebP files. A lossless file raises ValueError."""
    frame = vp8_frame(encoded("WEBP", "red", quality=60))
    assert frame[3:6] == b"\x9d\x01\x2a"
    assert struct.unpack("<2H", frame[6:10]) == (32, 16)
    file = write_webm([frame] * 3, (32, 16), 8.0, "note")
    assert file.startswith(b"\x1a\x45\xdf\xa3")
    assert (file.count(frame), b"V_VP8" in file, b"note" in file) == (3, True, True)
    with pytest.raises(ValueError, match="lossy"):
        vp8_frame(encoded("WEBP", "red", lossless=True))


def test_flac_counts_its_samples() -> None:
    """The FLAC header has the number of samples, and silence is compressed."""
    silent = write_flac(2.0, 44100, 2, None, "note")
    assert silent.startswith(b"fLaC\0\0\0\x22")
    packed = int.from_bytes(silent[18:26], "big")
    assert (packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1) == (44100, 2, 88200)
    assert len(silent) < 1000
    assert len(write_flac(2.0, 44100, 2, 440.0, "note")) > 20_000


def test_silent_audio_has_the_requested_duration() -> None:
    """Silent MP3 and Opus files have the requested duration."""
    mp3 = write_mp3(2.0, "note")
    assert mp3.startswith(b"ID3")
    assert mp3.count(b"\xff\xfb\x10\x00") == round(2.0 * 44100 / 1152)
    pages = write_opus(2.0, "note").split(b"OggS")[1:]
    assert b"OpusHead" in pages[0]
    assert b"OpusTags" in pages[1]
    assert struct.unpack_from("<q", pages[-1], 2) == (2 * 48000 + 312,)


def test_headers_of_latent_and_model_files() -> None:
    """The headers of safetensors and glTF files match their data."""
    latent = write_safetensors([1, 4, 8, 8], {"prompt": "{}"})
    (length,) = struct.unpack_from("<Q", latent)
    header = json.loads(latent[8 : 8 + length])
    assert header["latent_tensor"]["shape"] == [1, 4, 8, 8]
    assert len(latent) == 8 + length + header["latent_tensor"]["data_offsets"][1]
    model = write_glb("note")
    magic, version, size, text_length, kind = struct.unpack_from("<4s3I4s", model)
    assert (magic, version, size, kind) == (b"glTF", 2, len(model), b"JSON")
    assert json.loads(model[20 : 20 + text_length])["asset"]["version"] == "2.0"

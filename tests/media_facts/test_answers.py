"""Width, height and duration of videos and audio files in the responses of each dialect."""

from __future__ import annotations

import base64

from tests.conftest import Client
from worker.outputs.files import kind_of

FRAMES = {"width": 32, "height": 16, "batch_size": 4, "color": 0xFF0000}
SOUND = {"duration": 1.5, "sample_rate": 44100, "channels": 2}
WEBP = {"fps": 8.0, "lossless": True, "quality": 80, "method": "default"}
FILM = {"filename_prefix": "clips/m", "format": "auto", "codec": "auto"}

WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": FRAMES},
    "2": {"class_type": "EmptyAudio", "inputs": SOUND},
    "4": {"class_type": "EmptyImage", "inputs": {**FRAMES, "color": 0xFF}},
    "5": {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["4", 0]}},
    "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
    "10": {"class_type": "SaveVideo", "inputs": {"video": ["3", 0], **FILM}},
    "11": {
        "class_type": "SaveWEBM",
        "inputs": {"images": ["1", 0], "codec": "vp9", "fps": 8.0, "crf": 32.0, "filename_prefix": "m"},
    },
    "12": {"class_type": "SaveAnimatedWEBP", "inputs": {"images": ["5", 0], "filename_prefix": "m", **WEBP}},
    "13": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "m"}},
    "14": {"class_type": "SaveAudioOpus", "inputs": {"audio": ["2", 0], "filename_prefix": "m", "quality": "128k"}},
    "15": {"class_type": "PreviewAny", "inputs": {"source": "a text"}},
}


async def test_videos_and_audio_have_size_and_duration(client: Client) -> None:
    """An animated image has a duration, an audio file has no size, and a still image has no duration."""
    _, body = await client.post("/generate/sync", {"workflow": WORKFLOW})
    facts_by_name = [
        (item["kind"], item.get("width"), item.get("height"), item.get("duration_s")) for item in body["outputs"]
    ]
    assert facts_by_name == [
        ("video", 32, 16, 0.5),
        ("video", 32, 16, 0.5),
        ("image", 32, 16, 1.0),
        ("audio", None, None, 1.5),
        ("audio", None, None, 1.5),
        ("text", None, None, None),
    ]


async def test_the_runpod_dialect_delivers_every_kind(client: Client) -> None:
    """The runpod dialect returns what nodes report as images under `images`, and all else in fields of its own."""
    workflow = {**WORKFLOW, "1": {"class_type": "EmptyImage", "inputs": {**FRAMES, "color": 0xFF00}}}
    workflow["2"] = {"class_type": "EmptyAudio", "inputs": {**SOUND, "duration": 1.25}}
    _, native = await client.post("/generate/sync", {"workflow": workflow})
    _, body = await client.post("/generate/sync", {"input": {"workflow": workflow}})
    files = [item for item in native["outputs"] if item["kind"] != "text"]
    delivered = [*body["images"], *body["audio"]]
    assert [kind_of(item["filename"]) for item in delivered] == [item["kind"] for item in files]
    assert {kind_of(item["filename"]) for item in body["audio"]} == {"audio"}
    for item, expected in zip(delivered, files, strict=True):
        assert (item["type"], len(base64.b64decode(item["data"]))) == ("base64", expected["bytes"])
    assert body["images"][0]["subfolder"] == "clips"
    assert body["texts"] == [{"node_id": "15", "text": "a text"}]

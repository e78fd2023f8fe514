"""What the recorder did outside the protocol: files written or deleted, options of the server, and signals."""

from __future__ import annotations

import io
import re
import signal

from PIL import Image, PngImagePlugin

from tests.conformance.recorded.transcript import HttpExchange, Transcript

FLAGS = {
    "29-cache-big-ram": ("--cache-ram", "1", "1"),
    "31-assets-enabled": ("--enable-assets",),
}

SPENT = {"19-same-prompt-id": 20}
"""Number of prompts submitted before the recording. The counter must be above the number that the client chooses."""

SIGNAL = re.compile(r"(SIGKILL|SIGTERM|SIGINT) sent to the server")

DELETED = {("02-all-cached", "--- delete the output file"): "output/s02_00002_.png"}

TRUNCATED_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00"


def _png(comment: str) -> bytes:
    info, file = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("k", comment)
    Image.new("RGB", (16, 16), (5, 6, 7)).save(file, "png", pnginfo=info)
    return file.getvalue()


# For each path, the recorded request whose response has the file's content, or the content itself.
PLACED: dict[str, dict[str, str | bytes]] = {
    "09-execution-errors": {"input/corrupt.png": TRUNCATED_PNG},
    "13-ws-reconnect": {"output/slow_00001_.png": b""},
    "14-view": {
        "output/v rgba.png": "/view?filename=v%20rgba.png",
        "output/a..b.png": b"a",
        "output/sub dir/ü.png": "/view?filename=%C3%BC.png&subfolder=sub%20dir&type=output",
        "output/x.html": "/view?filename=x.html",
        "output/x.txt": "/view?filename=x.txt",
        "output/x.json": "/view?filename=x.json",
        "output/x.svg": "/view?filename=x.svg",
        "output/noext": "/view?filename=noext",
        "output/m.mp4": "/view?filename=m.mp4",
        "output/x.latent": "/view?filename=x.latent",
        "input/inp.png": "/view?filename=inp.png&type=input",
        "temp/t.png": "/view?filename=t.png&type=temp",
        "server.pid": b"1",
    },
    "15-upload": {
        "input/corrupt.png": TRUNCATED_PNG,
        "input/inp.png": _png("inp"),
        "temp/t.png": _png("t"),
        "output/orig.png": _png("kept"),
    },
    "16-history": {"output/slow_00005_.png": b""},
    "17-sigkill-mid-job": {"output/s17_00001_.png": b""},
    "17b-sigterm-mid-job": {"output/s17_00003_.png": b"", "output/s17part_00001_.png": b""},
    "17c-sigint-mid-job": {"output/s17_00005_.png": b"", "output/s17part_00002_.png": b""},
    "18-free": {"output/slow_00006_.png": b""},
    "19-same-prompt-id": {"output/slow_00009_.png": b""},
    "20-fifty-queued": {"output/s20_00050_.png": b""},
    "26-res4lyf-clownshark": {"output/sd15_clown_00001_.png": b""},
    "30-new-routes": {
        "output/x.svg": "/view?filename=x.svg",
        "output/x.xml": "/view?filename=x.xml",
        "output/x.js": "/view?filename=x.js",
        "output/x.html": "/view?filename=x.html",
        'output/q"x.txt': "/view?filename=q%22x.txt",
    },
}


def initial_files(transcript: Transcript) -> dict[str, bytes]:
    """Return the files that existed before the recording: their path below the engine's folder, and their content."""
    answers: dict[str, bytes] = {}
    for event in transcript.events:
        if isinstance(event, HttpExchange) and event.response is not None:
            answers.setdefault(event.request.path, event.response.body.content or b"")
    return {
        place: answers[source] if isinstance(source, str) else source
        for place, source in PLACED.get(transcript.name, {}).items()
    }


def deleted_file(transcript: Transcript, note: str) -> str | None:
    """Return the path of the file that the recorder deleted when it wrote this note, or None."""
    for (name, start), path in DELETED.items():
        if name == transcript.name and note.startswith(start):
            return path
    return None


def sent_signal(note: str) -> signal.Signals | None:
    """Return the signal that the recorder sent when it wrote this note, or None."""
    match = SIGNAL.match(note)
    return signal.Signals[match[1]] if match else None

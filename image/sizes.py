"""`python -m image.sizes [IMAGE]`: what each layer weighs, unpacked and compressed, and how soon a container is up."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from image.standin import build
from image.toolbox import Toolbox

MB = 1e6
WORKER = "/opt/comfy-worker"
WORKER_UNPACKED_MB, WORKER_COMPRESSED_MB = 350, 110
START_S = 2.0
STARTS = 5
PORT = 18288


@dataclass(frozen=True, slots=True)
class Layer:
    """Sizes in bytes; `made_by` is the instruction of the Dockerfile."""

    made_by: str
    unpacked: int
    compressed: int

    @property
    def name(self) -> str:
        """Where its files lie, or the program that made it."""
        words = self.made_by.replace("/bin/sh -c", "").replace("#(nop)", "").split()
        return next((word for word in reversed(words) if word.startswith("/opt/")), " ".join(words)[:60])


def main() -> None:
    """Ends with 1 where the worker's part or its start is above what was promised."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", nargs="?", help="without one the stand-in is built")
    image = parser.parse_args().image
    toolbox = Toolbox.prepared()
    if image is None:
        image, _ = build(toolbox)
    found = layers(toolbox, image)
    print(table(found))
    own = [layer for layer in found if layer.name.startswith(WORKER)]
    unpacked, compressed = sum(layer.unpacked for layer in own) / MB, sum(layer.compressed for layer in own) / MB
    allowed = f"of {WORKER_UNPACKED_MB} MB unpacked, {compressed:.0f} of {WORKER_COMPRESSED_MB} MB compressed"
    print(f"\nthe worker: {unpacked:.0f} {allowed}")
    starts = [start(toolbox, image) for _ in range(STARTS)]
    median = statistics.median(starts)
    print(f"container start to gateway: {median:.2f} s of {START_S:g} ({min(starts):.2f} to {max(starts):.2f})")
    sys.exit(unpacked > WORKER_UNPACKED_MB or compressed > WORKER_COMPRESSED_MB or median > START_S)


def layers(toolbox: Toolbox, image: str) -> list[Layer]:
    """Of every instruction that left files, the base's first; compressed as a registry gets them, by gzip."""
    history = json.loads(toolbox.podman("history", "--no-trunc", "--format", "json", image))
    made = [(row["CreatedBy"], int(row["size"])) for row in reversed(history) if int(row["size"]) > 0]
    with TemporaryDirectory(dir=toolbox.folder) as folder:
        toolbox.podman("push", "--quiet", "--compress", "--format", "v2s2", image, f"dir:{folder}")
        manifest = json.loads(Path(folder, "manifest.json").read_text())
    sizes = [int(layer["size"]) for layer in manifest["layers"] if int(layer["size"]) > 200]
    return [Layer(by, unpacked, packed) for (by, unpacked), packed in zip(made, sizes, strict=True)]


def table(found: list[Layer]) -> str:
    """Markdown, in the order in which a pull gets them."""
    rows = [f"| `{layer.name}` | {layer.unpacked / MB:,.1f} | {layer.compressed / MB:,.1f} |" for layer in found]
    total = (
        f"| all | {sum(one.unpacked for one in found) / MB:,.0f} | {sum(one.compressed for one in found) / MB:,.0f} |"
    )
    return "\n".join(["| layer | MB unpacked | MB compressed |", "|---|---|---|", *rows, total])


def start(toolbox: Toolbox, image: str) -> float:
    """Seconds from `podman run` to the gateway's first answer, Podman's own work among them."""
    began = time.monotonic()
    options = ["--read-only", "--tmpfs=/tmp", "--volume=/var/lib/comfy-worker", "--env=WORKER_RESTARTS=0"]
    container = toolbox.podman("run", "--detach", "--rm", *options, image).strip()
    try:
        while not _answers():
            if time.monotonic() - began > 60:
                raise TimeoutError(toolbox.podman("logs", container))
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        toolbox.podman("stop", "--time", "5", container)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()

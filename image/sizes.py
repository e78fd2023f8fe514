"""`python -m image.sizes [IMAGE]`: prints the size of each layer, unpacked and compressed, and the start time."""

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
LONGEST_START_S = 30.0
PORT = 18288


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer with its sizes in bytes. `made_by` is the instruction of the Dockerfile."""

    made_by: str
    unpacked: int
    compressed: int

    @property
    def name(self) -> str:
        """The folder of its files, or a description of the step."""
        folders = [word for word in self.made_by.split() if word.startswith("/opt/")]
        steps = {"apt-get": "packages of the system", "useradd": "user and links"}
        return (
            f"`{folders[-1]}`"
            if folders
            else next((name for word, name in steps.items() if word in self.made_by), "base")
        )


def main() -> None:
    """Print the sizes and the start time. The exit code is 1 if the worker exceeds one of its limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", nargs="?", help="name of an image; the default builds the stand-in")
    image = parser.parse_args().image
    toolbox = Toolbox.prepared()
    if image is None:
        image, _ = build(toolbox)
    all_layers = layers(toolbox, image)
    print(table(all_layers))
    own = [layer for layer in all_layers if WORKER in layer.name]
    unpacked, compressed = sum(layer.unpacked for layer in own) / MB, sum(layer.compressed for layer in own) / MB
    limits = f"of {WORKER_UNPACKED_MB} MB unpacked, {compressed:.0f} of {WORKER_COMPRESSED_MB} MB compressed"
    print(f"\nthe worker: {unpacked:.0f} {limits}")
    starts = [start(toolbox, image) for _ in range(STARTS)]
    median = statistics.median(starts)
    print(f"container start to gateway: {median:.2f} s of {START_S:g} ({min(starts):.2f} to {max(starts):.2f})")
    sys.exit(unpacked > WORKER_UNPACKED_MB or compressed > WORKER_COMPRESSED_MB or median > START_S)


def layers(toolbox: Toolbox, image: str) -> list[Layer]:
    """Return the layers of all instructions with files, the base first. Compression is gzip, as for a registry."""
    unpacked = [int(row["size"]) for row in json.loads(toolbox.podman("history", "--format", "json", image))][::-1]
    with TemporaryDirectory(dir=toolbox.folder) as folder:
        toolbox.podman("push", "--quiet", "--compress", "--format", "v2s2", image, f"dir:{folder}")
        manifest = json.loads(Path(folder, "manifest.json").read_text())
        config = json.loads(Path(folder, manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    compressed = iter(int(layer["size"]) for layer in manifest["layers"])
    return [
        Layer(step.get("created_by", ""), size, next(compressed))
        for step, size in zip(config["history"], unpacked, strict=True)
        if not step.get("empty_layer")
    ]


def table(all_layers: list[Layer]) -> str:
    """Return a Markdown table, in the order of a pull."""
    rows = [f"| {layer.name} | {layer.unpacked / MB:,.1f} | {layer.compressed / MB:,.1f} |" for layer in all_layers]
    unpacked = sum(layer.unpacked for layer in all_layers) / MB
    compressed = sum(layer.compressed for layer in all_layers) / MB
    total = f"| all | {unpacked:,.0f} | {compressed:,.0f} |"
    return "\n".join(["| layer | MB unpacked | MB compressed |", "|---|---|---|", *rows, total])


def start(toolbox: Toolbox, image: str) -> float:
    """Return the seconds from `podman run` to the gateway's first response, including Podman's own work."""
    started = time.monotonic()
    options = ["--read-only", "--tmpfs=/tmp", "--volume=/var/lib/comfy-worker", "--no-healthcheck"]
    container = toolbox.podman("run", "--detach", *options, image).strip()
    try:
        while not _is_ready():
            if time.monotonic() - started > LONGEST_START_S:
                sys.exit(f"the gateway does not respond:\n{toolbox.podman('logs', container)}")
            time.sleep(0.01)
        return time.monotonic() - started
    finally:
        toolbox.podman("rm", "--force", "--volumes", "--time", "5", container)


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()

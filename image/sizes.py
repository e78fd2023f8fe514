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
LONGEST_START_S = 30.0
PORT = 18288


@dataclass(frozen=True, slots=True)
class Layer:
    """Sizes in bytes; `made_by` is the instruction of the Dockerfile."""

    made_by: str
    unpacked: int
    compressed: int

    @property
    def name(self) -> str:
        """Where its files lie, or what the step does."""
        places = [word for word in self.made_by.split() if word.startswith("/opt/")]
        steps = {"apt-get": "packages of the system", "useradd": "user and links"}
        return (
            f"`{places[-1]}`"
            if places
            else next((name for word, name in steps.items() if word in self.made_by), "base")
        )


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
    own = [layer for layer in found if WORKER in layer.name]
    unpacked, compressed = sum(layer.unpacked for layer in own) / MB, sum(layer.compressed for layer in own) / MB
    allowed = f"of {WORKER_UNPACKED_MB} MB unpacked, {compressed:.0f} of {WORKER_COMPRESSED_MB} MB compressed"
    print(f"\nthe worker: {unpacked:.0f} {allowed}")
    starts = [start(toolbox, image) for _ in range(STARTS)]
    median = statistics.median(starts)
    print(f"container start to gateway: {median:.2f} s of {START_S:g} ({min(starts):.2f} to {max(starts):.2f})")
    sys.exit(unpacked > WORKER_UNPACKED_MB or compressed > WORKER_COMPRESSED_MB or median > START_S)


def layers(toolbox: Toolbox, image: str) -> list[Layer]:
    """Of every instruction that left files, the base's first; compressed as a registry gets them, by gzip."""
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


def table(found: list[Layer]) -> str:
    """Markdown, in the order in which a pull gets them."""
    rows = [f"| {layer.name} | {layer.unpacked / MB:,.1f} | {layer.compressed / MB:,.1f} |" for layer in found]
    total = (
        f"| all | {sum(one.unpacked for one in found) / MB:,.0f} | {sum(one.compressed for one in found) / MB:,.0f} |"
    )
    return "\n".join(["| layer | MB unpacked | MB compressed |", "|---|---|---|", *rows, total])


def start(toolbox: Toolbox, image: str) -> float:
    """Seconds from `podman run` to the gateway's first answer, Podman's own work among them."""
    began = time.monotonic()
    options = ["--read-only", "--tmpfs=/tmp", "--volume=/var/lib/comfy-worker", "--no-healthcheck"]
    container = toolbox.podman("run", "--detach", *options, image).strip()
    try:
        while not _answers():
            if time.monotonic() - began > LONGEST_START_S:
                sys.exit(f"the gateway does not answer:\n{toolbox.podman('logs', container)}")
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        toolbox.podman("rm", "--force", "--volumes", "--time", "5", container)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()

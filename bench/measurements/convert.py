"""`python -m bench.measurements.convert [FILE]`: the time to convert an editor's workflow to a prompt."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert
from worker.workflow.embedded_metadata import extract_workflow

NODES, TIMES, TARGET_MS = 300, 21, 20.0
PART = ("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage")
"""Classes of the nodes that the workflow repeats."""
LINKS = ((0, 1, 1, "clip"), (0, 0, 3, "model"), (1, 0, 3, "positive"), (1, 0, 3, "negative"), (2, 0, 3, "latent_image"))
"""Links of a part: origin, slot, target and input."""
AFTER = ((3, 0, 4, "samples"), (0, 2, 4, "vae"), (4, 0, 5, "images"))
"""Links of a part that come after those."""
VALUES: dict[str, list[Any]] = {
    "CheckpointLoaderSimple": ["sd15.safetensors"],
    "CLIPTextEncode": ["a {small|large} harbour"],
    "EmptyLatentImage": [512, 512, 1],
    "KSampler": [7, "randomize", 20, 8, "euler", "normal", 1],
    "SaveImage": ["out"],
}


def example_workflow(nodes: int) -> dict[str, Any]:
    """Return a workflow with this number of nodes, which repeats text to image."""
    saved: dict[str, Any] = {"nodes": [], "links": [], "version": 0.4}
    for number in range(nodes):
        kind = PART[number % len(PART)]
        saved["nodes"].append({"id": number, "type": kind, "widgets_values": VALUES.get(kind), "inputs": []})
    for start in range(0, nodes - len(PART) + 1, len(PART)):
        for origin, slot, target, name in (*LINKS, *AFTER):
            link = len(saved["links"]) + 1
            saved["links"].append([link, start + origin, slot, start + target, 0, "*"])
            saved["nodes"][start + target]["inputs"].append({"name": name, "type": "*", "link": link})
    return saved


def main() -> None:
    workflow: Any = (
        extract_workflow(Path(sys.argv[1]).read_bytes())
        if sys.argv[1:]
        else json.loads(json.dumps(example_workflow(NODES)))
    )
    catalog, times_ms = bundled_catalog(), list[float]()
    for _ in range(TIMES):
        start = time.perf_counter()
        prompt = convert(workflow, catalog).prompt
        times_ms.append((time.perf_counter() - start) * 1000)
    first_ms, *later_ms = times_ms
    best_ms, median_ms = min(later_ms), statistics.median(later_ms)
    nodes = len(workflow["nodes"])
    print(f"{nodes} nodes -> {len(prompt)}: {median_ms:.1f} ms (best {best_ms:.1f}, first {first_ms:.1f})")
    if best_ms > TARGET_MS and not sys.argv[1:]:
        sys.exit(f"missed: {TARGET_MS:g} ms")


if __name__ == "__main__":
    main()

"""Print `docs/flow.svg`: how a request travels. `make docs` runs it, and a test compares the picture."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 900, 392
STYLE = """
  text { font: 14px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; text-anchor: middle }
  .note { font-size: 12px; fill: #59636e }
  .box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2 }
  .gpu { fill: #dafbe1; stroke: #1a7f37 }
  .group { fill: none; stroke: #8c959f; stroke-dasharray: 5 4 }
  .line { fill: none; stroke: #59636e; stroke-width: 1.5; marker-end: url(#arrow) }
  #arrow path { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .box { fill: #151b23; stroke: #656c76 }
    .gpu { fill: #12261e; stroke: #3fb950 }
    .group { stroke: #656c76 }
    .line { stroke: #9198a1 }
    #arrow path { fill: #9198a1 }
  }
"""


class Box(NamedTuple):
    """A box with a title and a note below it. `x` and `y` are the upper left corner, in pixels."""

    x: int
    y: int
    width: int
    title: str
    note: str
    kind: str = "box"


BOX_HEIGHT = 56

AUTOSCALER = Box(16, 24, 132, "Autoscaler", "starts, stops workers")
CLIENT = Box(16, 120, 132, "Client", "HTTP, Vast, RunPod")
INTAKE = Box(206, 120, 132, "Intake", "request to job")
ADMISSION = Box(376, 120, 132, "Admission", "validate, queue")
PREPARE = Box(546, 120, 132, "Prepare", "input files, seeds")
ENGINES = Box(716, 120, 148, "Engine pool", "queues the next job")
COMFYUI = Box(716, 216, 148, "ComfyUI", "one per GPU", "box gpu")
DELIVER = Box(546, 216, 132, "Deliver", "encode, upload")
RESPONSE = Box(206, 216, 302, "Response", "images, video, audio: base64, raw or URL")
OBSERVERS = Box(546, 304, 318, "Observers", "journal, log, metrics, webhooks")
BOXES = (AUTOSCALER, CLIENT, INTAKE, ADMISSION, PREPARE, ENGINES, COMFYUI, DELIVER, RESPONSE, OBSERVERS)

ARROWS = (
    f"M{CLIENT.x + CLIENT.width} 148 H{INTAKE.x - 2}",
    f"M{INTAKE.x + INTAKE.width} 148 H{ADMISSION.x - 2}",
    f"M{ADMISSION.x + ADMISSION.width} 148 H{PREPARE.x - 2}",
    f"M{PREPARE.x + PREPARE.width} 148 H{ENGINES.x - 2}",
    f"M790 176 V{COMFYUI.y - 2}",
    f"M{COMFYUI.x} 244 H{DELIVER.x + DELIVER.width + 2}",
    f"M{DELIVER.x} 244 H{RESPONSE.x + RESPONSE.width + 2}",
    f"M{RESPONSE.x} 244 H82 V178",
    f"M442 120 V52 H{AUTOSCALER.x + AUTOSCALER.width + 2}",
    f"M612 272 V{OBSERVERS.y - 2}",
)


def picture() -> str:
    """Return the SVG. Its colours follow the reader's light or dark mode."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-labelledby="title">'
    )
    yield '<title id="title">How a request travels through the worker</title>'
    yield f"<style>{STYLE}</style>"
    yield '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>'
    yield f'<rect class="group" x="178" y="12" width="710" height="{HEIGHT - 24}" rx="10"/>'
    yield '<text x="206" y="330" style="text-anchor: start; font-weight: 600">comfy-worker</text>'
    note = "Everything but ComfyUI runs beside the GPU."
    yield f'<text class="note" x="206" y="350" style="text-anchor: start">{note}</text>'
    yield '<text class="note" x="300" y="44">load report</text>'
    for box in BOXES:
        centre = box.x + box.width / 2
        yield f'<rect class="{box.kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{BOX_HEIGHT}" rx="6"/>'
        yield f'<text x="{centre:g}" y="{box.y + 24}">{escape(box.title)}</text>'
        yield f'<text class="note" x="{centre:g}" y="{box.y + 43}">{escape(box.note)}</text>'
    for arrow in ARROWS:
        yield f'<path class="line" d="{arrow}"/>'
    yield "</svg>"


if __name__ == "__main__":
    sys.stdout.write(picture())

"""The outputs of a job as content of a tool's result: small images inline, and links to everything else."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcp import types

from worker.errors import Failure
from worker.mcp_server.caller_api import CallerApi, McpJob
from worker.mcp_server.previews import preview_of
from worker.mcp_server.reports import JobOutput

RESULT_BASE64_BYTES = 700_000
"""Base64 in one result. Some hosts reject a result of more than 1 MB."""

MOST_IMAGES = 8
"""Images that a result shows. The others are links."""

MOST_IMAGE_BYTES = 48 * 1024**2
"""A larger file is not read to make a preview of it."""

SHOWN_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""Media types that language models can see. Other images are shown as a preview."""


@dataclass(slots=True)
class ContentBuilder:
    """Makes the content blocks for outputs of jobs.

    At most two previews are made at a time, because each needs the memory of a whole image.
    """

    budget: int = RESULT_BASE64_BYTES
    _decoders: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def blocks(self, api: CallerApi, job: McpJob, outputs: Sequence[JobOutput]) -> list[types.ContentBlock]:
        """Return the blocks for these outputs, in their order. An image that cannot be read becomes a link."""
        images = [output for output in outputs if output.kind == "image"][:MOST_IMAGES]
        left, blocks = self.budget, list[types.ContentBlock]()
        for output in outputs:
            if output.kind == "image" and output in images:
                share = left // (len(images) - images.index(output))
                shown, complete = await self._image(api, job, output, share)
                if shown is not None:
                    left -= len(shown.data)
                    blocks.append(shown)
                if complete:
                    continue
            if output.text is None:
                blocks.append(_link(output))
        return blocks

    async def _image(
        self, api: CallerApi, job: McpJob, output: JobOutput, most_base64: int
    ) -> tuple[types.ImageContent | None, bool]:
        """Return the image, or a preview of it, and whether it is the complete file."""
        most_bytes = most_base64 // 4 * 3
        if (output.bytes or 0) > MOST_IMAGE_BYTES:
            return None, False
        async with self._decoders:
            try:
                _, content = await api.output(job, output.index, MOST_IMAGE_BYTES)
            except Failure:
                return None, False
            if output.mime in SHOWN_TYPES and len(content) <= most_bytes:
                return _image_block(content, output.mime), True
            preview = await asyncio.to_thread(preview_of, content, most_bytes)
        return (None if preview is None else _image_block(preview.data, "image/jpeg")), False


def _image_block(content: bytes, mime: str) -> types.ImageContent:
    return types.ImageContent(data=base64.b64encode(content).decode(), mime_type=mime)


def _link(output: JobOutput) -> types.ResourceLink:
    """Return the link to an output, which `resources/read` resolves."""
    pixels = f", {output.width}x{output.height} pixels" if output.width else ""
    return types.ResourceLink(
        uri=output.uri,
        name=output.filename or f"output-{output.index}",
        description=f"The complete {output.kind}{pixels}",
        mime_type=output.mime,
        size=output.bytes,
    )

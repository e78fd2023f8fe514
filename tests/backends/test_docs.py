"""The example of docs/backends.md runs."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT


async def test_the_example_of_the_page_makes_a_picture(tmp_path: Path) -> None:
    """It is complete: it starts a worker, and saves the reference and the picture."""
    page = (ROOT / "docs" / "backends.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert output.decode() == "200 backend_00001_.png\n"
    with Image.open(tmp_path / "backend.png") as picture:
        assert picture.size == (512, 512)
    assert (tmp_path / "reference.json").exists()

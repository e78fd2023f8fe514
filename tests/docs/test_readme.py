"""README: its clients run, its numbers are the measured ones, and the generated pages are up to date."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import draw_flow, make_settings
from tests.conftest import Client, shared_client
from tests.docs.pages import ROOT, blocks_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

README = ROOT / "README.md"
ADDRESS = "http://127.0.0.1:18288"
COMPARISON = re.compile(r"^\| (comfy-worker|Salad|RunPod|ai-dock)[^|]*\|[^|]*ms \|[^|]*x \([^|]*\|$", re.MULTILINE)


def example(language: str, client: Client) -> str:
    """Return README's client in a language, with the address of a running worker."""
    (block,) = (block for block in blocks_of(README) if block.language == language)
    return block.text.replace(ADDRESS, client.app.url)


async def run(*command: str, cwd: Path) -> str:
    """Run a command without blocking the worker that it talks to; return what it prints. Fails with its output."""
    done = await asyncio.to_thread(subprocess.run, command, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_python_client_saves_the_image(client: Client, tmp_path: Path) -> None:
    """README's Python client runs as it is and writes the image that the workflow makes."""
    await run(sys.executable, "-c", example("python", client), cwd=tmp_path)
    assert (tmp_path / "python.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.tools("node", "tsc")
async def test_the_typescript_client_compiles_and_prints_the_url(client: Client, tmp_path: Path) -> None:
    """README's TypeScript client passes `tsc --strict`, and prints the kind and the URL of the image under node."""
    (tmp_path / "client.mts").write_text(example("typescript", client), "utf-8")
    options = (
        "--strict",
        "--target",
        "es2022",
        "--module",
        "es2022",
        "--moduleResolution",
        "node",
        "--lib",
        "es2022,dom",
    )
    await run("tsc", *options, "client.mts", cwd=tmp_path)
    printed = await run("node", "client.mjs", cwd=tmp_path)
    assert re.fullmatch(rf"image {client.app.url}/jobs/\w+/outputs/0\?token=\S+\n", printed)


async def test_the_readme_is_short() -> None:
    """README has at most 200 lines, so that it is read to its end."""
    assert len(README.read_text("utf-8").splitlines()) <= 200


async def test_the_comparison_has_the_measured_numbers() -> None:
    """Each server's name, time and ratio in README are those of one row of docs/benchmarks.md."""
    measured = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").splitlines()
    rows = [match[0] for match in COMPARISON.finditer(README.read_text("utf-8"))]
    assert len(rows) == 4
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert any(all(f"| {cell} |" in line for cell in cells) for line in measured), row


async def test_the_page_of_settings_is_generated() -> None:
    """docs/settings.md is what `make docs` writes: every setting with its default and its meaning."""
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == make_settings.page()


async def test_the_picture_of_the_flow_is_generated() -> None:
    """docs/flow.svg is what `make docs` writes."""
    assert (ROOT / "docs" / "flow.svg").read_text("utf-8") == draw_flow.picture()

"""The programs of the pages about clients run or compile as shown."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import ROOT, Client, shared_client
from tests.docs.pages import Block, blocks_of
from tests.npm import MODULES
from tests.simulators.runpod.sdk.programs import LIMIT_S

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

ADDRESS = "http://127.0.0.1:18288"
PAGES = ("typescript.md", "migrate-from-worker-comfyui.md")
AMBIENT = """
declare module "node:fs/promises" { export function writeFile(path: string, data: Uint8Array): Promise<void>; }
declare const process: { env: Record<string, string | undefined> };
declare const workflow: Record<string, unknown>;
"""
"""Declarations of Node, and of the workflow of a program that has one."""


def blocks(page: str, language: str) -> list[Block]:
    """Return the blocks of a page in a language."""
    return [block for block in blocks_of(ROOT / "docs" / page) if block.language == language]


async def output(*command: str, cwd: Path) -> str:
    """Run a command beside the worker of this test, and return what it prints."""
    done = await asyncio.to_thread(subprocess.run, command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_printed(printed: str, url: str) -> None:
    """Check the last two lines of both programs: the URL of the result, and the error."""
    result, error = printed.splitlines()[-2:]
    assert re.fullmatch(rf"result {url}/jobs/\w+/outputs/0\?token=\S+", result)
    assert error == "invalid_workflow 2 Did you mean 'SaveImage'?"


async def test_the_python_program_runs(client: Client, tmp_path: Path) -> None:
    """The first program of docs/python.md runs beside a copy of the file."""
    shutil.copy(ROOT / "clients" / "python" / "comfy_client.py", tmp_path)
    program = blocks("python.md", "python")[0].text.replace(ADDRESS, client.app.url)
    printed = await output(sys.executable, "-c", program, cwd=tmp_path)
    assert printed.startswith("48 ")
    check_printed(printed, client.app.url)


@pytest.mark.tools(*TOOLS)
async def test_the_typescript_program_runs(client: Client, package: NpmProject, tmp_path: Path) -> None:
    """The first program of docs/typescript.md compiles, and runs under Node."""
    (tmp_path / "node_modules").symlink_to(package.folder / "node_modules")
    (tmp_path / "ambient.d.ts").write_text(AMBIENT)
    (tmp_path / "program.mts").write_text(
        blocks("typescript.md", "typescript")[0].text.replace(ADDRESS, client.app.url)
    )
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    done = package.tsc(*options, "program.mts", "ambient.d.ts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    check_printed(await output("node", "program.mjs", cwd=tmp_path), client.app.url)
    with Image.open(tmp_path / "smaller.png") as image:
        assert image.size == (48, 32)


@pytest.mark.tools(*TOOLS, "clients/typescript/node_modules/runpod-sdk")
async def test_all_typescript_programs_compile(package: NpmProject, tmp_path: Path) -> None:
    """Each block of both pages is a module that passes the strict compiler."""
    (tmp_path / "node_modules").mkdir()
    for name, folder in (("comfy-worker-client", package.folder / "node_modules"), ("runpod-sdk", MODULES)):
        (tmp_path / "node_modules" / name).symlink_to(folder / name)
    (tmp_path / "ambient.d.ts").write_text(AMBIENT)
    names = []
    for page in PAGES:
        for block in blocks(page, "typescript"):
            names.append(f"block{len(names)}.mts")
            (tmp_path / names[-1]).write_text(block.text)
    assert len(names) > 4
    options = (
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
    )
    done = await asyncio.to_thread(package.tsc, *options, *names, "ambient.d.ts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout

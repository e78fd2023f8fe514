"""The packed npm package, and programs that use it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import installed
from tests.npm import MODULES, PACKAGE
from tests.simulators.runpod.sdk.programs import run_program

TOOLS = ("node", "npm", "clients/typescript/node_modules/typescript")
HEAD = """
import { ComfyClient, ComfyError, RunPodJobRunner } from "comfy-worker-client";
const [baseUrl, ...values] = process.argv.slice(2);
const args = values.map((value) => JSON.parse(value));
const client = new ComfyClient({ baseUrl });
const report = (value) => console.log(JSON.stringify(value));
const caught = async (promise) => {
  try { await promise; } catch (error) { return error; }
  throw new Error("nothing was thrown");
};
const fields = ({ name, code, status, fault, retryable, message, details, jobId }) =>
  ({ name, code, status, fault, retryable, message, details, jobId });
"""


@dataclass(frozen=True)
class NpmProject:
    """A folder in which the packed package is installed."""

    folder: Path
    tarball: Path

    async def run(self, body: str, url: str, *arguments: object) -> Any:
        """Run an ES module with a client of `url`, and return what it reports. `args` has the arguments."""
        folder = Path(await asyncio.to_thread(_new_folder, self.folder))
        (folder / "program.mjs").write_text(HEAD + body, "utf-8")
        command = ["node", "program.mjs", url, *(json.dumps(argument) for argument in arguments)]
        return await run_program(command, {"PATH": os.environ["PATH"], "HOME": str(folder)}, folder)

    def tsc(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the TypeScript compiler."""
        command = [str(MODULES / ".bin" / "tsc"), *arguments]
        return subprocess.run(command, cwd=cwd or self.folder, capture_output=True, text=True, timeout=120, check=False)


def _new_folder(parent: Path) -> str:
    """Return a new folder below the project, from which Node finds its packages."""
    folder = parent / f"program-{len(list(parent.iterdir()))}"
    folder.mkdir()
    return str(folder)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> NpmProject:
    """The package as `npm pack` makes it, installed in a folder."""
    if not all(map(installed, TOOLS)):
        pytest.skip("not installed: `make typescript` installs the packages")
    source, target = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("project")
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (source / "node_modules").symlink_to(MODULES)
    command = ["npm", "pack", "--pack-destination", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (tarball,) = target.glob("*.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(target / "node_modules", filter="data")
    (target / "node_modules" / "package").rename(target / "node_modules" / "comfy-worker-client")
    return NpmProject(target, tarball)

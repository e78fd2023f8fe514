"""Workers of this and other releases as processes with one state folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parents[2]
LAST = "v0.2.0"
"""The last release."""
LOCK = "requirements.lock"
FOREIGN = ("WORKER_", "PYTHON", "COVERAGE", "GIT_")


@dataclass(frozen=True)
class Release:
    """The code of a release, and the Python that runs only this code."""

    python: Path
    code: Path


def this_release() -> Release:
    return Release(Path(sys.executable), ROOT)


def release(name: str, folder: Path) -> Release:
    """Check out a release with a venv of its own, and skip the test when the clone does not have it.

    Its dependencies are those of this venv where the lock is the same, and are installed otherwise.
    """
    if (
        shutil.which("git") is None
        or git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", check=False).returncode
    ):
        pytest.skip(f"{name} is not in this clone: a shallow one, or one without tags")
    code, venv = folder / "code", folder / "venv"
    code.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", name], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(code)], input=archive.stdout, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    [packages] = venv.glob("lib/python*/site-packages")
    lines = [str(code)]
    if git("show", f"{name}:{LOCK}").stdout == (ROOT / LOCK).read_text("utf-8"):
        lines.append(sysconfig.get_path("purelib"))  # its .pth files are not read: this release is not on the path
    else:
        _install(venv, code / LOCK)
    (packages / "release.pth").write_text("\n".join(lines))
    return Release(venv / "bin" / "python", code)


def _install(venv: Path, lock: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
    command = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), "--no-deps", "-r", str(lock)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=240)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"the dependencies of the other release can't be installed: {error}")


def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=check)


@dataclass
class Life:
    """One run of a worker on a state folder."""

    url: str
    http: aiohttp.ClientSession
    process: asyncio.subprocess.Process

    async def post(self, path: str, body: object = None, **given: object) -> tuple[int, dict]:
        form = given or {"json": body}
        async with self.http.post(self.url + path, **form) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, token: str = "") -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def ended(self, job: dict) -> tuple[int, dict]:
        """Wait for the end of a job, by its events."""
        headers = {"Authorization": f"Bearer {job['token']}"}
        async with asyncio.timeout(60), self.http.get(f"{self.url}/jobs/{job['id']}/events", headers=headers) as events:
            await events.read()
        return await self.get(f"/jobs/{job['id']}", job["token"])

    async def kill(self) -> None:
        """Kill the worker as a power failure does."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def life(release: Release, state: Path, engine: str, *arguments: str, **env: str) -> AsyncIterator[Life]:
    """Run a worker of a release, and kill it at the end of the context."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    log = state.with_suffix(".log")
    with log.open("ab") as said:
        begin = said.tell()
        process = await asyncio.create_subprocess_exec(
            *(release.python, "-m", "worker", "serve", "--port", "0", "--state", str(state), "--comfyui", engine),
            *arguments,
            cwd=release.code,
            env=kept | {"WORKER_FETCH_ALLOW": "127.0.0.1:9"} | env,
            stdout=said,
            stderr=said,
        )
    try:
        async with aiohttp.ClientSession() as http:
            async with asyncio.timeout(60):
                while not (url := _address(log, begin)):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.05)
                found = Life(url, http, process)
                while (await found.get("/ready"))[0] != 200:
                    await asyncio.sleep(0.05)
            yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _address(log: Path, begin: int) -> str:
    lines = log.read_bytes()[begin:].decode().splitlines()
    return next((line.split()[-1] for line in lines if "listening on http" in line), "")

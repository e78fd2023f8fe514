"""The command line of the stand-in, its switches, and the page about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import ROOT
from worker.simulators.runpod import RunpodAssumptions, RunpodFault
from worker.subcommand import module_command

PAGE = (ROOT / "docs" / "runpod-stand-in.md").read_text("utf-8").splitlines()
PROGRAM = Path(__file__).with_name("plain_pod.py")


def test_the_page_lists_every_switch() -> None:
    """Its table has each assumption with its default and its source."""
    rows = [f"| `{name}` | {default} | {source} |" for name, default, source in RunpodAssumptions.table()]
    start = PAGE.index(rows[0])
    assert PAGE[start : start + len(rows) + 1] == [*rows, ""]


@pytest.mark.parametrize("fault", RunpodFault)
def test_the_page_lists_every_fault(fault: RunpodFault) -> None:
    """Each has a row."""
    assert any(line.startswith(f"| `{fault.name}` |") for line in PAGE)


def test_switches_as_text() -> None:
    """Values get the type of their switch."""
    read = RunpodAssumptions.read(["take_hold_s=5", "requeue_limit=7", "exit_requeues=false"])
    assert read == RunpodAssumptions(take_hold_s=5.0, requeue_limit=7, exit_requeues=False)


@pytest.mark.parametrize("text", ["take_hold_s", "nope=1", "take_hold_s=x", "exit_requeues=1"])
def test_a_wrong_switch(text: str) -> None:
    """It is an error that names it."""
    with pytest.raises(ValueError, match=r"take_hold_s|nope|exit_requeues|'x'"):
        RunpodAssumptions.read([text])


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[list[str]]:
    """Run the command, and yield the first two lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        *module_command("worker.simulators.runpod"), *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            yield [(await process.stdout.readline()).decode() for _ in range(2)]
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_process_with_workers_of_its_own() -> None:
    """The command starts a worker for a job, and ends with SIGTERM."""
    switch = ("--assume", "take_hold_s=1", "--min-workers", "1")
    async with command(*switch, "--", sys.executable, str(PROGRAM)) as (url, key), aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {key.split()[-1]}"}
        async with http.post(f"{url.split()[-1]}/runsync", json={"input": {}}, headers=headers) as response:
            body = await response.json()
        assert (body["status"], body["output"][0]) == ("COMPLETED", "pod-1")


async def test_a_process_with_a_load_balancer() -> None:
    """Without a worker there is an answer that says so."""
    async with (
        command("--load-balancing", "--assume", "load_balancer_wait_s=0.1") as (url, key),
        aiohttp.ClientSession() as http,
        http.get(f"{url.split()[-1]}/x", headers={"Authorization": key.split()[-1]}) as response,
    ):
        assert (response.status, await response.json()) == (503, {"error": "no workers available"})

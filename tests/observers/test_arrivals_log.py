"""The log of arrivals in the state folder: its rows, its limits, and what it never has in it."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.outputs.test_delivery import failing_worker
from tests.workflows import failing, picture, slow
from worker.load.gpu_classes import REFERENCE, gpu_class
from worker.load.node_work import JobWork, NodeWork
from worker.load.prior import reference_factor
from worker.observers.arrivals_file import FILE, HEADER, ArrivalRow, append, read_rows
from worker.observers.kind_names import KEY_FILE, KindNames, kind_key

ROW = ArrivalRow(1_800_000_000.25, 3.8, 4.1, "sdxl", 4.0, 5.5, 1.4, "RTX 4090", "completed")
SECRET = "a-very-private-prefix"  # the prefix of the file names in a workflow


async def rows(state: Path, count: int) -> list[dict[str, str] | None]:
    """Wait for this number of rows."""
    async with asyncio.timeout(60):
        while len(found := [*read_rows(state)]) < count:
            await asyncio.sleep(0.02)
    return found


async def run(client: Client, workflow: object, **fields: object) -> dict:
    _, answer = await client.post("/generate/sync", {"workflow": workflow, **fields})
    return answer


async def test_each_job_that_ran_has_a_row(engine: EngineHandle, tmp_path: Path) -> None:
    """A row has arrival, units, seconds and state of a job, also of one that failed, and nothing of its contents."""
    async with worker(engine, tmp_path) as client:
        for _ in range(2):
            await run(client, picture(prefix=SECRET))
        await run(client, slow(0.2))
        await run(client, failing())
        found = await rows(tmp_path, 4)
        device = (await client.app.engines.info()).device
    assert None not in found
    first, _, third, failed = [row for row in found if row is not None]
    assert first["at"].startswith("20")
    assert first["at"].endswith("Z")
    assert (first["state"], failed["state"], first["kind"]) == ("completed", "failed", "")
    assert first["gpu"] == gpu_class(device).name
    assert float(first["units"]) > 0
    assert float(third["measured_s"]) > 0.15
    assert float(third["predicted_s"]) >= 0
    text = (tmp_path / FILE).read_text("utf-8")
    assert SECRET not in text
    assert "EmptyImage" not in text
    assert text.startswith(HEADER)


async def test_a_restart_appends_and_a_stop_writes_the_last_row(engine: EngineHandle, tmp_path: Path) -> None:
    """The rows of a worker that stops right after a job are in the file, and the next worker adds its own."""
    for _ in range(2):
        async with worker(engine, tmp_path) as client:
            await run(client, picture())
    assert len([*read_rows(tmp_path)]) == 2
    assert (tmp_path / FILE).read_text("utf-8").count(HEADER) == 1


async def test_the_log_can_be_switched_off(engine: EngineHandle, tmp_path: Path) -> None:
    """With WORKER_ARRIVALS_LOG off, neither file nor key is written."""
    async with worker(engine, tmp_path, arrivals_log=False) as client:
        await run(client, picture())
    assert not (tmp_path / FILE).exists()
    assert not (tmp_path / KEY_FILE).exists()


async def test_a_file_that_cannot_be_written_stops_no_job(engine: EngineHandle, tmp_path: Path) -> None:
    """Jobs run while the file cannot be written, and their rows are written at the end."""
    async with worker(engine, tmp_path) as client:
        (tmp_path / FILE).mkdir()
        assert (await run(client, picture()))["status"] == "success"
        assert (await run(client, picture()))["status"] == "success"
        (tmp_path / FILE).rmdir()
    assert len([*read_rows(tmp_path)]) == 2


async def test_a_repeated_delivery_is_no_second_arrival(engine: EngineHandle, tmp_path: Path) -> None:
    """A job whose result is delivered later has one row."""
    async with failing_worker(engine, tmp_path, 4) as (client, _):
        status, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
        assert status == 503
        path, headers = f"/jobs/{body['id']}", {"Authorization": f"Bearer {body['token']}"}
        assert (await client.post(f"{path}/deliver", {}, **headers))[0] == 200
    assert [row and row["state"] for row in read_rows(tmp_path)] == ["delivery_pending"]


def test_a_large_file_is_replaced(tmp_path: Path) -> None:
    """A file of the largest size is kept as the one before, and an older one is deleted."""
    for number in range(30):
        append(tmp_path / FILE, [ROW, ROW], most_bytes=1000)
        assert (tmp_path / FILE).stat().st_size < 1300, number
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, f"{FILE}.1"]
    assert 10 < len([*read_rows(tmp_path)]) < 60


def test_a_broken_last_line_costs_one_row(tmp_path: Path) -> None:
    """A line that was cut off by a crash is unreadable, and rows after it are not."""
    append(tmp_path / FILE, [ROW])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'2027-01-15T08:00:00.250Z,3.8,"4.')
    append(tmp_path / FILE, [ROW])
    assert [row is None for row in read_rows(tmp_path)] == [False, True, False]


def test_a_file_of_another_release_is_kept_aside(tmp_path: Path) -> None:
    """A file with other columns gets no rows of these columns."""
    (tmp_path / FILE).write_text("at,seconds\n1,2\n")
    append(tmp_path / FILE, [ROW])
    assert (tmp_path / f"{FILE}.1").read_text() == "at,seconds\n1,2\n"
    assert [row and row["kind"] for row in read_rows(tmp_path)] == [None, None, "sdxl"]


def test_a_full_disk_leaves_no_part_of_a_row(tmp_path: Path) -> None:
    """If rows do not fit on the disk, the file has none of them, and can be written later."""
    append(tmp_path / FILE, [ROW])
    before = (tmp_path / FILE).read_bytes()
    program = f"""
import resource
from pathlib import Path
from tests.observers.test_arrivals_log import ROW, append
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 150}, {resource.RLIM_INFINITY}))
try:
    append(Path({str(tmp_path / FILE)!r}), [ROW] * 5)
except OSError:
    print("full")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "full", done.stderr
    assert (tmp_path / FILE).read_bytes() == before
    append(tmp_path / FILE, [ROW] * 5)
    assert len([*read_rows(tmp_path)]) == 6


def work(*files: str) -> JobWork:
    return JobWork((NodeWork("1", "KSampler", tflop=129.0, fixed_s=1.0, models=files),), 2.0, {}, {})


def test_names_of_kinds_tell_nothing() -> None:
    """Jobs with the same models have the same name, which depends on a key and has no file name in it."""
    names = KindNames(b"k" * 32, {"sdxl"})
    assert names.name("sdxl", work("sd_xl_base.safetensors")) == "sdxl"
    private = names.name("my-customer", work("b.safetensors", "a.safetensors"))
    assert private == names.name(None, work("a.safetensors", "b.safetensors"))
    assert private.startswith("k-")
    assert len(private) == 10
    assert private != names.name(None, work("a.safetensors"))
    assert private != KindNames(b"other" * 8, {"sdxl"}).name(None, work("a.safetensors", "b.safetensors"))
    assert names.name("smoke-resize", work()) == ""


def test_the_key_is_drawn_once(tmp_path: Path) -> None:
    """A state folder has one key, which only its owner can read. Without a place for it, it is still random."""
    key = kind_key(tmp_path)
    assert kind_key(tmp_path) == key
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0
    assert kind_key(tmp_path / "nowhere") != kind_key(tmp_path / "nowhere")


@pytest.mark.parametrize(("gpu", "factor"), [("RTX 4090", 1.0), ("RTX 3090", 2 / (129 / 56 + 1)), ("B200", 1.71)])
def test_seconds_on_the_reference_gpu(gpu: str, factor: float) -> None:
    """Only the part of a job that the GPU computes is scaled by the speed of the GPU."""
    assert gpu_class("RTX 4090") == REFERENCE
    assert reference_factor(work(), gpu_class(gpu)) == pytest.approx(factor, rel=0.01)

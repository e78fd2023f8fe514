"""Faults on demand: how they are asked for, and what each does to a real engine."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.cli.terminal import cli
from tests.engines import EngineHandle, start_engine
from tests.workflows import faulty, picture, slow
from worker.errors import InvalidFault
from worker.simulators.comfyui.faults.fault import FaultKind, parse_faults


def test_a_fault_is_read() -> None:
    """Kind, node and numbers; several between commas; what is not said has its default."""
    crash, slow_, oom = parse_faults("crash@3;times=2, slow@KSampler;factor=5;seconds=0.5 ,oom")
    assert (crash.kind, crash.where, crash["times"], crash["after"]) == (FaultKind.CRASH, "3", 2.0, 0.0)
    assert (slow_["factor"], slow_["seconds"], slow_["times"]) == (5.0, 0.5, 0.0)
    assert [oom.matches("7", "Any"), slow_.matches("7", "KSampler"), slow_.matches("7", "VAEDecode")] == [
        True,
        True,
        False,
    ]
    assert parse_faults("") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("explode", "crash, hang"),
        ("crash;factor=2", "times, after"),
        ("slow;seconds=soon", "'soon' is not a number"),
        ("oom;times=-1", "0 or more"),
        ("oom;times=nan", "0 or more"),
        ("@3", "unknown fault ''"),
    ],
)
def test_what_can_not_be_read_says_what_could(text: str, says: str) -> None:
    """Each mistake has its own sentence."""
    with pytest.raises(InvalidFault, match=says):
        parse_faults(text)


def test_the_command_line_refuses_a_bad_fault(tmp_path: Path) -> None:
    """Before anything is started; a real ComfyUI can't be asked for faults."""
    done = cli("engine", "--fault", "explode", cwd=tmp_path)
    assert (done.returncode, "unknown fault" in done.stderr) == (2, True)
    done = cli("serve", "--port", "0", "--fault", "explode", cwd=tmp_path)
    assert (done.returncode, "unknown fault" in done.stderr) == (1, True)
    (tmp_path / "main.py").touch()
    done = cli("serve", "--port", "0", "--comfyui", tmp_path, "--fault", "oom", cwd=tmp_path)
    assert (done.returncode, "embedded engine only" in done.stderr) == (1, True)


class Talk:
    """A session with an engine, and its WebSocket."""

    def __init__(self, engine: EngineHandle, http: aiohttp.ClientSession) -> None:
        self.engine = engine
        self._http = http
        self.client_id = uuid.uuid4().hex

    async def post(self, workflow: object, **headers: str) -> str:
        body = {"prompt": workflow, "client_id": self.client_id}
        async with self._http.post(self.engine.url + "/prompt", json=body, headers=headers) as answer:
            told = await answer.json()
            return told["prompt_id"] if answer.status == 200 else told["error"]["type"]

    async def get(self, path: str) -> tuple[int, dict]:
        async with self._http.get(self.engine.url + path) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status == 200 else {}

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self._http.ws_connect(f"{self.engine.url}/ws?clientId={self.client_id}") as socket:
            await socket.receive()
            yield socket

    async def ended(self, prompt_id: str) -> dict:
        """The history entry, once it is there."""
        async with asyncio.timeout(5):
            while not (entry := (await self.get(f"/history/{prompt_id}"))[1]):
                await asyncio.sleep(0.01)
        return entry[prompt_id]

    async def failed(self, workflow: object, **headers: str) -> str:
        """The exception type that a prompt ends with, empty if it went well."""
        status = (await self.ended(await self.post(workflow, **headers)))["status"]
        return next((data["exception_type"] for name, data in status["messages"] if name == "execution_error"), "")


@asynccontextmanager
async def talk(base: Path, *options: str) -> AsyncIterator[Talk]:
    with start_engine(base, *options) as engine:
        # Nothing of a connection outlives an answer: the engine may be killed after each.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            yield Talk(engine, http)


async def test_nodes_raise_what_they_are_asked_to(tmp_path: Path) -> None:
    """Under the exception types that ComfyUI reports, as often as asked, by the node's class or id."""
    async with talk(tmp_path, "--fault", "oom@EmptyImage;times=2,full@2;after=1") as engine:
        kinds = [await engine.failed(picture()) for _ in range(5)]
    assert kinds == ["torch.OutOfMemoryError", "torch.OutOfMemoryError", "", "OSError", ""]


async def test_a_header_asks_for_a_fault_of_one_prompt(tmp_path: Path) -> None:
    """At a node of any class, and of no other prompt; one that can't be read is refused."""
    fault = {"X-Embedded-Fault": "oom@SaveImage;times=0"}
    async with talk(tmp_path) as engine:
        kinds = [await engine.failed(picture(), **headers) for headers in (fault, {}, fault)]
        assert kinds == ["torch.OutOfMemoryError", "", "torch.OutOfMemoryError"]
        assert await engine.post(picture(), **{"X-Embedded-Fault": "explode"}) == "invalid_fault"


async def test_a_broken_gpu_stays_broken_until_a_restart(tmp_path: Path) -> None:
    """Every later node raises, and the look at the machine's memory is 500, as with a real one."""
    async with talk(tmp_path) as engine:
        kinds = [await engine.failed(workflow) for workflow in (picture(), faulty("cuda"), picture())]
        assert kinds == ["", "torch.AcceleratorError", "torch.AcceleratorError"]
        assert (await engine.get("/system_stats"))[0] == 500
        engine.engine.kill()
        engine.engine.restart()
        assert await engine.failed(faulty("cuda")) == ""


async def test_a_crash_is_counted_over_lives(tmp_path: Path) -> None:
    """It happens once, not once in each life."""
    async with talk(tmp_path) as engine:
        await engine.post(faulty("crash"))
        assert await asyncio.to_thread(engine.engine.process.wait, 5) == -signal.SIGKILL
        engine.engine.kill()
        engine.engine.restart()
        assert await engine.failed(faulty("crash")) == ""


async def test_a_hang_can_not_be_interrupted_and_a_freeze_answers_nothing(tmp_path: Path) -> None:
    """HTTP goes on in the first, and the process stands still in the second."""
    async with talk(tmp_path) as engine:
        prompt_id = await engine.post(faulty("hang"))
        async with aiohttp.ClientSession() as http:
            await http.post(engine.engine.url + "/interrupt", json={"prompt_id": prompt_id})
        await asyncio.sleep(0.3)
        assert [item[1] for item in (await engine.get("/queue"))[1]["queue_running"]] == [prompt_id]
        engine.engine.kill()
        engine.engine.restart()
        posting = asyncio.create_task(engine.post(faulty("freeze")))  # it may freeze before it answers
        stat = Path(f"/proc/{engine.engine.process.pid}/stat")
        async with asyncio.timeout(5):
            while stat.read_text().rpartition(")")[2].split()[0] != "T":
                await asyncio.sleep(0.01)
        engine.engine.kill()
        await asyncio.gather(posting, return_exceptions=True)


async def test_a_dead_thread_runs_nothing_more(tmp_path: Path) -> None:
    """The prompt that asked for it still ends; the next one waits while nothing runs."""
    async with talk(tmp_path) as engine:
        assert await engine.failed(faulty("thread")) == ""
        waiting = await engine.post(picture())
        await asyncio.sleep(0.2)
        _, queue = await engine.get("/queue")
        assert (queue["queue_running"], [item[1] for item in queue["queue_pending"]]) == ([], [waiting])


async def test_sockets_break_or_turn_deaf(tmp_path: Path) -> None:
    """Dropped, they end without a farewell; deaf, they stay open and hear no end of the job."""
    async with talk(tmp_path) as engine:
        async with engine.socket() as socket:
            await engine.post(faulty("drop"))
            async with asyncio.timeout(5):
                async for _ in socket:
                    pass
            assert socket.close_code == 1006
        async with engine.socket() as socket:
            prompt_id = await engine.post(faulty("deaf"))
            await engine.ended(prompt_id)
            heard = []
            with suppress(TimeoutError):
                while True:
                    frame = (await socket.receive(0.2)).json()
                    heard.append((frame["type"], frame["data"].get("prompt_id")))
            assert ("execution_success", prompt_id) not in heard


async def test_a_late_history_leaves_a_gap(tmp_path: Path) -> None:
    """For a while the prompt is in neither queue nor history."""
    async with talk(tmp_path) as engine, engine.socket() as socket:
        prompt_id = await engine.post(faulty("late;seconds=0.5"))
        while (await socket.receive(5)).json()["type"] != "execution_success":
            pass
        while (await engine.get("/prompt"))[1]["exec_info"]["queue_remaining"]:
            await asyncio.sleep(0.01)
        assert (await engine.get(f"/history/{prompt_id}"))[1] == {}
        assert (await engine.ended(prompt_id))["status"]["completed"]


async def test_requests_are_answered_500(tmp_path: Path) -> None:
    """As many as asked for."""
    async with talk(tmp_path) as engine, engine.socket() as socket:
        await engine.post(faulty("errors;count=2"))
        while (await socket.receive(5)).json()["type"] != "execution_success":
            pass
        assert [(await engine.get("/prompt"))[0] for _ in range(3)] == [500, 500, 200]


async def test_a_slow_node_takes_its_time(tmp_path: Path) -> None:
    """Before every node of the class that is named there is that much silence."""
    async with talk(tmp_path, "--fault", "slow@EmbeddedSleep;seconds=0.4") as engine:
        began = asyncio.get_running_loop().time()
        assert await engine.failed(slow(0)) == ""
        assert asyncio.get_running_loop().time() - began >= 0.4

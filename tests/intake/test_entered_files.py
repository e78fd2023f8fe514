"""Number of files of the worker that a request passes before its prompt is sent. Each is one more file to read."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import worker
from tests.conftest import Client
from tests.workflows import picture

ROOT = Path(worker.__file__).parent
MOST = 104
"""Files that a request may pass. Lower it when a change saves one, and raise it only with a reason.

Two of them read encodings and forms of bodies. Four repair the prompt. Five apply the rules of node packs and find the
models that their nodes load. Two check hosts. Two mark the connection as authenticated. Four check paths and place
inputs. Twenty-six compute the work of the prompt and predict its seconds. Two store the crash history. One is the
lock for jobs that run alone. One looks for nodes that read the editor's workflow. One relates prompts to the calls of
handlers.
"""
BEGINS, ENDS = ("generate_sync", "api/generate.py"), ("submit", "engine/protocol/api.py")


class Entered:
    """A profiler that collects the files whose functions are called between the handler and `POST /prompt`."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._outside: set[FrameType] = set()
        """What was under way before the handler: a coroutine that goes on is a call, too."""
        self._listening = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(str(ROOT)) or frame in self._outside:
            return
        path = str(Path(frame.f_code.co_filename).relative_to(ROOT))
        place = (frame.f_code.co_name, path)
        if place == BEGINS and not self.files:
            self._listening, self._outside = True, set(callers(frame))
        if self._listening and not path.startswith("simulators/"):
            self.files.setdefault(path, frame.f_code.co_name)
        if place == ENDS:
            self._listening = False


def callers(frame: FrameType) -> Iterator[FrameType]:
    caller = frame.f_back
    while caller is not None:
        yield caller
        caller = caller.f_back


@contextmanager
def entered() -> Iterator[dict[str, str]]:
    profiler = Entered()
    threading.setprofile(profiler)
    sys.setprofile(profiler)
    try:
        yield profiler.files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


async def test_files_entered_until_the_prompt_is_sent(client: Client) -> None:
    """The third native request with two nodes passes a limited number of files, which are printed."""
    for _ in range(2):
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
    with entered() as files:
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
    for number, (path, function) in enumerate(files.items(), start=1):
        print(f"{number:3} {path}: {function}")
    assert 0 < len(files) <= MOST

"""Runs calls of an app's handlers: `python call_server.py OPTIONS`, with the options as a JSON object.

This is a standalone script for Python 3.10 and later. It and the modules beside it use only the standard library,
because they run in the app's own environment, where the worker is not installed. The worker sends one call at a time
over an inherited socket. What handlers print goes to stdout and stderr, and never to this socket.

A message is a header in JSON and a body: the lengths of both as two numbers of 4 bytes, the header, the body.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import resource
import signal
import socket
import struct
import sys
import types
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from worker.handlers.app_side.app_handlers import AppHandlers
    from worker.handlers.app_side.call_results import (
        UnsupportedResultError,
        describe_error,
        describe_place,
        encode_result,
    )
else:
    from app_handlers import AppHandlers
    from call_results import UnsupportedResultError, describe_error, describe_place, encode_result

LENGTHS = struct.Struct(">II")
UTILITIES = ("comfyui", "image_utils", "cost_tracker")
"""Modules of `utils` that comfy_compat.py stands in for where the app has none."""
COMPAT = Path(__file__).parent.with_name("comfy_compat.py")
Header = dict[str, Any]


class CallCancelled(BaseException):
    """The worker has cancelled the running call. It is no Exception, so that handlers do not catch it by mistake."""


class Channel:
    """The socket to the worker."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)  # programs that handlers start must not keep it open
        self._file = self._socket.makefile("rb")

    def receive(self) -> tuple[Header, bytes] | None:
        """Return the header and the body of the next message, or None when the worker has ended."""
        lengths = self._file.read(LENGTHS.size)
        if len(lengths) < LENGTHS.size:
            return None
        header_size, body_size = LENGTHS.unpack(lengths)
        return json.loads(self._file.read(header_size)), self._file.read(body_size)

    def send(self, header: Header, body: bytes = b"") -> None:
        """Send a message."""
        data = json.dumps(header).encode()
        self._socket.sendall(LENGTHS.pack(len(data), len(body)) + data + body)


class CallServer:
    """Runs the calls that the worker sends, one at a time."""

    def __init__(self, channel: Channel, handlers: AppHandlers, options: Header) -> None:
        """`options` are those of the process: the app, the port of ComfyUI's API, and the most bytes of a result."""
        self._channel = channel
        self._handlers = handlers
        self._options = options
        self._running = False
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of all calls, so that what one call opens on it works in the next one."""
        signal.signal(signal.SIGUSR1, self._cancel)

    def serve(self) -> None:
        """Run calls until the worker ends, or until this process has no memory left."""
        while (message := self._channel.receive()) is not None:
            header, body = self._answer(*message)
            if os.getpid() != self._pid:  # a handler has forked, and returned in the child
                os._exit(0)
            self._channel.send({**header, "call": message[0]["call"]}, body)
            if header.get("ends"):
                return

    def _cancel(self, _number: int, _frame: object) -> None:
        """Handle the signal that cancels the running call."""
        if self._running:
            self._running = False
            raise CallCancelled

    def _answer(self, header: Header, body: bytes) -> tuple[Header, bytes]:
        """Run a call, and return the header and the body of its answer."""
        try:
            self._running = True
            media_type, data = encode_result(self._call(header, json.loads(body)))
            self._running = False
            most = self._options["max_result"]
            if len(data) > most:
                raise UnsupportedResultError(f"the result has {len(data):,} bytes, and the limit is {most:,}")
            return {"type": "result", "media_type": media_type}, data
        except CallCancelled:
            return {"type": "cancelled"}, b""
        except UnsupportedResultError as error:
            self._running = False
            return {"type": "unsupported", "message": str(error)}, b""
        except BaseException as error:  # noqa: BLE001 - also sys.exit() in a handler
            self._running = False
            return self._failure(error), b""

    def _failure(self, error: BaseException) -> Header:
        """Return the header for a handler that has raised an exception. Without memory, the process ends."""
        message, place = describe_error(error), describe_place(error, Path(self._options["app"]))
        if isinstance(error, MemoryError) and self._options["memory"]:
            message += f": WORKER_HANDLERS_MEMORY_MIB allows {self._options['memory'] // 1024**2} MiB"
        return {"type": "failed", "message": message, "frame": place, "ends": isinstance(error, MemoryError)}

    def _call(self, header: Header, sent: Header) -> object:
        """Call a handler with the arguments and, if it takes it, the port of ComfyUI's API. Return its result."""
        name = header["name"]
        arguments = self._handlers.arguments(name, sent)
        if name in self._handlers.with_port:
            arguments["port"] = self._options["port"]
        compat = sys.modules.get("comfy_compat")
        if compat is not None:
            compat.begin_call(header["call"])
        result = self._handlers.functions[name](**arguments)
        return self._run(result) if inspect.iscoroutine(result) else result

    def _run(self, coroutine: Coroutine[Any, Any, object]) -> object:
        """Run a coroutine on the event loop. When the call is cancelled, the coroutine is cancelled too."""
        self._loop = self._loop or asyncio.new_event_loop()
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except CallCancelled:
            task.cancel()
            with suppress(BaseException):
                self._loop.run_until_complete(task)
            raise


def offer_utilities(app: Path, port: int) -> None:
    """Make comfy_compat.py importable, also in place of the modules in `utils` that the app does not have."""
    utils = app / "utils"
    missing = [name for name in UTILITIES if not ((utils / f"{name}.py").is_file() or (utils / name).is_dir())]
    spec = importlib.util.spec_from_file_location("comfy_compat", COMPAT)
    if spec is None or spec.loader is None:
        raise ImportError("comfy_compat.py is missing")
    compat = importlib.util.module_from_spec(spec)
    sys.modules["comfy_compat"] = compat
    spec.loader.exec_module(compat)
    compat.connect(port, str(app))
    if utils.with_suffix(".py").is_file():
        return
    if not utils.is_dir():
        package = sys.modules["utils"] = types.ModuleType("utils")
        package.__path__ = []
    for name in missing:
        sys.modules[f"utils.{name}"] = compat


def main(options: Header) -> None:
    """Load the handlers, report them to the worker, and run calls until the worker ends."""
    channel, app = Channel(options["descriptor"]), Path(options["app"])
    if options["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (options["memory"], options["memory"]))
    # In place of the folder of this script, whose modules are not the app's.
    sys.path[0] = str(app)
    for name in ("app_handlers", "call_results"):
        del sys.modules[name]
    offer_utilities(app, options["port"])
    handlers = AppHandlers(app, options["broken"], lambda file: channel.send({"type": "importing", "file": file}))
    server = CallServer(channel, handlers, options)
    channel.send({"type": "ready", "handlers": handlers.describe(), "problems": handlers.problems})
    server.serve()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

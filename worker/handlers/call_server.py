"""Runs calls of an app's handlers: `python call_server.py OPTIONS`, with the options as a JSON object.

This is a standalone script for Python 3.10 and later. It uses only the standard library, because it runs in the app's
own environment, where the worker is not installed. The worker sends one call at a time over an inherited socket. What
handlers print goes to stdout and stderr, and never to this socket.

A message is a header in JSON and a body: the lengths of both as two numbers of 4 bytes, the header, the body.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import inspect
import io
import json
import resource
import signal
import socket
import struct
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

LENGTHS = struct.Struct(">II")
LONGEST_TEXT = 2000
"""Most characters of a message, a default or a docstring that is sent to the worker."""
UTILITIES = ("comfyui", "image_utils", "cost_tracker")
"""Modules of `utils` that comfy_compat.py stands in for where the app has none."""
SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"glTF", "model/gltf-binary"),
    (0, b"%PDF-", "application/pdf"),
)
"""Offset, bytes and media type of files."""
Header = dict[str, Any]


class CallCancelled(BaseException):
    """The worker has cancelled the running call. It is no Exception, so that handlers do not catch it by mistake."""


class UnsupportedResultError(Exception):
    """A handler has returned a value that cannot be sent, or that is too large."""


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


class AppHandlers:
    """The public functions of the files in the folder `handlers` of an app."""

    def __init__(self, app: Path) -> None:
        """Import all files. A file that cannot be imported is a problem, and does not affect the others."""
        self.functions: dict[str, Callable[..., Any]] = {}
        self.problems: list[Header] = []
        self.with_port: set[str] = set()
        """Names of the handlers that take the port of ComfyUI's API."""
        for path in sorted((app / "handlers").glob("*.py")):
            if not path.stem.startswith("_"):
                self._load(path.stem)

    def _load(self, stem: str) -> None:
        """Import one file, and add its functions."""
        try:
            module = importlib.import_module(f"handlers.{stem}")
        except BaseException as error:  # noqa: BLE001 - also sys.exit() in a file
            traceback.print_exc()
            self.problems.append({"file": f"handlers/{stem}.py", "message": describe_error(error)})
            return
        for name, value in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module.__name__:
                continue
            if name in self.functions:
                other = self.functions[name].__module__.replace(".", "/")
                message = f"{name} is also in {other}.py, which is served: rename one of them"
                self.problems.append({"file": f"handlers/{stem}.py", "message": message})
                continue
            self.functions[name] = value
            if "port" in inspect.signature(value).parameters:
                self.with_port.add(name)

    def describe(self) -> list[Header]:
        """Return the name, file, docstring and parameters of each handler."""
        return [describe_function(name, function) for name, function in self.functions.items()]


def describe_function(name: str, function: Callable[..., Any]) -> Header:
    """Return the name, file, docstring and parameters of a handler."""
    return {
        "name": name,
        "file": function.__module__.replace(".", "/") + ".py",
        "doc": (inspect.getdoc(function) or "")[:LONGEST_TEXT],
        "parameters": [describe_parameter(parameter) for parameter in inspect.signature(function).parameters.values()],
    }


def describe_parameter(parameter: inspect.Parameter) -> Header:
    """Return the name, kind, default and annotation of a parameter, as text. A default of None means no default."""
    kinds: dict[object, str] = {parameter.VAR_KEYWORD: "rest", parameter.VAR_POSITIONAL: "positional"}
    default = None if parameter.default is parameter.empty else repr(parameter.default)[:LONGEST_TEXT]
    annotation = None if parameter.annotation is parameter.empty else inspect.formatannotation(parameter.annotation)
    kind = kinds.get(parameter.kind, "keyword")
    return {"name": parameter.name, "kind": kind, "default": default, "annotation": annotation}


def describe_error(error: BaseException) -> str:
    """Return the class and the message of an exception."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called"
    return f"{type(error).__name__}: {error}"[:LONGEST_TEXT] if str(error) else type(error).__name__


def last_frame(error: BaseException) -> str:
    """Return the place in the code at which an exception was raised: file, line, function and code."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    frame = frames[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"


class CallServer:
    """Runs the calls that the worker sends, one at a time."""

    def __init__(self, channel: Channel, handlers: AppHandlers, port: int, max_result: int) -> None:
        """`port` is that of ComfyUI's API for this process. `max_result` is the most bytes of a result."""
        self._channel = channel
        self._handlers = handlers
        self._port = port
        self._max_result = max_result
        self._running = False
        signal.signal(signal.SIGUSR1, self._cancel)

    def serve(self) -> None:
        """Run calls until the worker ends, or until this process has no memory left."""
        while (message := self._channel.receive()) is not None:
            header, body = self._answer(*message)
            self._channel.send(header, body)
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
            if len(data) > self._max_result:
                raise UnsupportedResultError(
                    f"the result has {len(data):,} bytes, and the limit is {self._max_result:,}"
                )
            return {"type": "result", "media_type": media_type}, data
        except CallCancelled:
            return {"type": "cancelled"}, b""
        except UnsupportedResultError as error:
            return {"type": "unsupported", "message": str(error)}, b""
        except BaseException as error:  # noqa: BLE001 - also sys.exit() in a handler
            self._running = False
            frame, ends = last_frame(error), isinstance(error, MemoryError)
            return {"type": "failed", "message": describe_error(error), "frame": frame, "ends": ends}, b""

    def _call(self, header: Header, arguments: dict[str, Any]) -> object:
        """Call a handler with the arguments and, if it takes it, the port of ComfyUI's API. Return its result."""
        function = self._handlers.functions[header["name"]]
        if header["name"] in self._handlers.with_port:
            arguments["port"] = self._port
        compat = sys.modules.get("comfy_compat")
        if compat is not None:
            compat.begin_call(header["call"])
        result = function(**arguments)
        return asyncio.run(result) if inspect.iscoroutine(result) else result


def encode_result(value: object) -> tuple[str, bytes]:
    """Return the media type and the data of a result. Raises UnsupportedResultError for a value without a JSON form."""
    file = encode_file(value)
    if file is not None:
        return file
    try:
        return "application/json", json.dumps(value, default=_encode_nested, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UnsupportedResultError(f"the result cannot be sent as JSON: {error}") from error


def encode_file(value: object) -> tuple[str, bytes] | None:
    """Return the media type and the data of bytes or of a PIL image, which becomes a PNG. Return None for the rest."""
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        known = (kind for start, head, kind in SIGNATURES if data[start : start + len(head)] == head)
        return next(known, "application/octet-stream"), data
    if any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(value).__mro__):
        png = io.BytesIO()
        value.save(png, format="PNG")  # type: ignore[attr-defined]
        return "image/png", png.getvalue()
    return None


def _encode_nested(value: object) -> object:
    """Return the JSON form of a file inside a result. Raises TypeError for other values."""
    file = encode_file(value)
    if file is not None:
        return {"media_type": file[0], "data": base64.b64encode(file[1]).decode()}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(f"it contains a {kind}; return dict, list, str, numbers, None, bytes or a PIL image")


def offer_utilities(app: Path, port: int) -> None:
    """Make comfy_compat.py importable, also in place of the modules in `utils` that the app does not have."""
    utils = app / "utils"
    missing = [name for name in UTILITIES if not ((utils / f"{name}.py").is_file() or (utils / name).is_dir())]
    spec = importlib.util.spec_from_file_location("comfy_compat", Path(__file__).with_name("comfy_compat.py"))
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
    sys.path[0] = str(app)  # in place of the folder of this script, whose modules are not the app's
    offer_utilities(app, options["port"])
    handlers = AppHandlers(app)
    server = CallServer(channel, handlers, options["port"], options["max_result"])
    channel.send({"type": "ready", "handlers": handlers.describe(), "problems": handlers.problems})
    server.serve()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

"""Apps with handlers, written into a folder."""

from __future__ import annotations

from pathlib import Path

HANDLERS = '''
"""Handlers that show one behavior each."""

import asyncio
import math
import os
import sys
import threading
import time


def greet(name, times=1, *, loud: bool = False):
    """Return a greeting."""
    return {"text": f"hello {name} " * times, "loud": loud}


def anything(first, **kwargs):
    return [first, kwargs]


def value(kind):
    return {"none": None, "text": "x", "number": 1.5, "list": [1, "a"], "tuple": (1, 2)}[kind]


def file():
    return b"\\x89PNG\\r\\n\\x1a\\n the rest"


def image(color):
    from PIL import Image

    return Image.new("RGB", (4, 3), color)


def nested():
    from PIL import Image

    return {"image": Image.new("RGB", (2, 2)), "data": [b"abc"]}


async def later():
    await asyncio.sleep(0)
    return "later"


def fails():
    raise ValueError("no such color")


def exits():
    sys.exit(3)


def unsupported(kind):
    return {"object": object(), "nan": {"x": math.nan}, "set": {"a": {1}}}[kind]


def crashes(code=7):
    os._exit(code)


def segfaults():
    import ctypes

    ctypes.string_at(0)


def waits(seconds=600, ignores=False, ready=None):
    if ready:
        open(ready, "w").close()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            time.sleep(0.05)
        except BaseException:
            if not ignores:
                raise


def returns(megabytes):
    return b"x" * (megabytes * 1024 * 1024)


def prints(text="line", lines=None):
    while lines is None or lines > 0:
        print(text)
        lines = lines and lines - 1


def leaks():
    kept = []
    while True:
        kept.append(bytearray(16 * 1024 * 1024))


def length(text):
    return len(text)


def environment():
    return dict(os.environ)


def place():
    return {"cwd": os.getcwd(), "path": sys.path[0], "python": sys.executable, "pid": os.getpid()}


def where(port):
    return port


def _private():
    return 1
'''


def write_app(folder: Path, **files: str) -> Path:
    """Write an app with these files in `handlers/`, by default the handlers above."""
    handlers = folder / "handlers"
    handlers.mkdir(parents=True)
    for name, text in (files or {"all": HANDLERS}).items():
        (handlers / f"{name}.py").write_text(text)
    return folder

"""Tries several accesses in its own process, and prints which of them were denied."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PTRACE_ATTACH, PROCESS_VM_READV, TRUNCATE = 16, {"x86_64": 310, "aarch64": 270}, {"x86_64": 76, "aarch64": 45}
MACHINE = os.uname().machine
libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def overwrite(path: str) -> None:
    with open(path, "r+b") as file:
        file.write(b"overwritten")


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def listen(port: int) -> None:
    socket.create_server(("127.0.0.1", port)).close()


def abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{name}")


def unix_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


def run(path: str) -> None:
    subprocess.run([path], check=True, stdout=subprocess.DEVNULL)


def in_child(kind: str, *rest: str) -> None:
    """Try the same access in a child process."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps([[kind, *rest]])], capture_output=True, text=True, check=True
    )
    [outcome] = json.loads(done.stdout)
    if outcome != "done":
        raise OSError(getattr(errno, outcome), "")


def memory(pid: int) -> None:
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.read(0)


ACCESS: dict[str, Callable[..., object]] = {
    "read": lambda path: Path(path).read_bytes(),
    "list": os.listdir,
    "link": os.readlink,
    "stat": os.stat,
    "write": lambda path: Path(path).write_bytes(b"written"),
    "append": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
    "overwrite": overwrite,
    "truncate": lambda path: checked(libc.truncate(os.fsencode(path), ctypes.c_long(0))),
    "mkdir": os.mkdir,
    "delete": os.unlink,
    "rmdir": os.rmdir,
    "rename": os.rename,
    "hard link": os.link,
    "symlink": os.symlink,
    "fifo": os.mkfifo,
    "unix socket": unix_socket,
    "run": run,
    "chroot": os.chroot,
    "mount": lambda source, target: checked(libc.mount(os.fsencode(source), os.fsencode(target), b"", 4096, None)),
    "signal": lambda pid: os.kill(pid, signal.SIGWINCH),
    "ptrace": lambda pid: checked(libc.ptrace(PTRACE_ATTACH, pid, None, None)),
    "memory": memory,
    "setuid": os.setuid,
    "nice": os.nice,
    "descriptor": os.fstat,
    "connect": connect,
    "listen": listen,
    "abstract": abstract,
    "child": in_child,
}


def attempt(kind: str, *arguments: object) -> str:
    try:
        ACCESS[kind](*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except subprocess.SubprocessError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    print(json.dumps([attempt(*case) for case in json.loads(sys.argv[1])]))

"""Tests of the sandbox from inside, with real files, processes and sockets."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.engine.sandbox.launching import LANDLOCK, attempts, given, launch, needs_landlock, policy_of
from worker.engine.process.folders import EngineFolders
from worker.engine.process.free_port import free_ports
from worker.engine.process.names import engine_name
from worker.engine.process.sandbox import launcher
from worker.engine.process.sandbox.policy import SandboxPolicy
from worker.settings import Settings

pytestmark = needs_landlock
SECRET = "canary-of-the-worker"


@dataclass(frozen=True)
class Ground:
    """A worker's state folder with canary files, and a foreign folder."""

    state: Path
    foreign: Path
    folders: EngineFolders
    other: EngineFolders
    policy: SandboxPolicy


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    state, foreign = tmp_path / "state", tmp_path / "foreign"
    settings = Settings.of(comfyui="embedded", state=state)
    other, _ = policy_of(settings, engine_name(1))
    folders, policy = policy_of(settings)
    foreign.mkdir()
    files = [state / "journal.sqlite", state / "inputs/job/a.png", state / "outputs/job/a.png", foreign / "a.png"]
    files += [place / name / "a.png" for place in (folders.root, other.root) for name in ("output", "temp", "user")]
    for file in (*files, folders.input / "job-1/a.png", folders.models / "checkpoints/a.safetensors"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("canary")
    return Ground(state, foreign, folders, other, policy)


def test_its_own_folders_are_all_that_it_writes(ground: Ground) -> None:
    """An engine can write, replace and delete files in its output, temp and user folders."""
    own = ground.folders
    cases = [
        ("write", f"{own.output}/b.png"),
        ("mkdir", f"{own.output}/sub"),
        ("rename", f"{own.output}/b.png", f"{own.output}/sub/c.png"),
        ("overwrite", f"{own.output}/sub/c.png"),
        ("truncate", f"{own.output}/sub/c.png"),
        ("rename", f"{own.output}/sub/c.png", f"{own.root}/temp/c.png"),
        ("delete", f"{own.root}/temp/c.png"),
        ("rmdir", f"{own.output}/sub"),
        ("write", f"{own.root}/user/settings.json"),
        ("unix socket", f"{own.root}/tmp/s"),
        ("write", "/dev/null"),
        ("append", "/dev/null"),
        ("read", f"{own.input}/job-1/a.png"),
        ("mkdir", f"{own.input}/3d"),
        ("read", f"{own.models}/checkpoints/a.safetensors"),
        ("list", f"{own.models}/checkpoints"),
        ("read", "/proc/meminfo"),
        ("read", "/proc/self/environ"),
        ("run", "/bin/true"),
    ]
    assert denied(attempts(ground.policy, cases)) == {}


def test_nothing_of_the_worker_or_of_others_is_read(ground: Ground) -> None:
    """An engine cannot read or list the state, other engines' folders, foreign files or accounts."""
    state, other = ground.state, ground.other.root
    (ground.folders.output / "a.png").unlink()
    cases = [
        ("read", f"{state}/journal.sqlite"),
        ("read", f"{state}/inputs/job/a.png"),
        ("read", f"{state}/outputs/job/a.png"),
        *((kind, f"{other}/{name}") for name in ("output", "temp", "user") for kind in ("list",)),
        *(("read", f"{other}/{name}/a.png") for name in ("output", "temp", "user")),
        ("read", f"{ground.foreign}/a.png"),
        ("read", f"{ground.folders.output}/../../journal.sqlite"),
        ("list", f"{state}"),
        ("list", f"{ground.foreign}"),
        ("list", "/"),
        ("list", "/tmp"),
        ("list", "/root"),
        ("list", "/dev"),
        ("list", "/var/lib"),
        ("read", "/etc/passwd"),
        ("read", "/etc/shadow"),
        ("read", "/etc/environment"),
        ("hard link", f"{state}/journal.sqlite", f"{ground.folders.output}/b"),
        ("rename", f"{state}/journal.sqlite", f"{ground.folders.output}/b"),
        ("child", "read", f"{state}/journal.sqlite"),
        *(("read", f"/proc/{way}{state}/journal.sqlite") for way in ("self/root", "thread-self/root", "1/root")),
    ]
    assert allowed(attempts(ground.policy, cases)) == []


def test_nothing_outside_is_written(ground: Ground) -> None:
    """An engine cannot write to state, models, code, placed inputs, other folders or devices."""
    state, own = ground.state, ground.folders
    cases = [
        *((kind, f"{state}/journal.sqlite") for kind in ("append", "overwrite", "truncate", "delete")),
        ("write", f"{state}/new"),
        ("write", f"{own.root}/models.yaml"),
        ("mkdir", f"{state}/new"),
        ("truncate", f"{own.input}/job-1/a.png"),
        ("overwrite", f"{own.input}/job-1/a.png"),
        ("delete", f"{own.input}/job-1/a.png"),
        ("write", f"{own.models}/checkpoints/b.safetensors"),
        ("delete", f"{own.models}/checkpoints/a.safetensors"),
        ("write", f"{ground.other.output}/b.png"),
        ("write", f"{ground.foreign}/b.png"),
        ("write", f"{Path(sys.prefix)}/planted.py"),
        ("write", "/tmp/planted-by-a-job"),
        ("rename", f"{own.output}/a.png", f"{ground.foreign}/b.png"),
        ("hard link", f"{own.input}/job-1/a.png", f"{own.output}/gained.png"),
        ("rename", f"{own.input}/job-1", f"{own.output}/gained"),
        ("hard link", f"{own.models}/checkpoints/a.safetensors", f"{own.output}/gained.safetensors"),
        ("hard link", f"{Path(sys.prefix)}/pyvenv.cfg", f"{own.root}/home/gained.cfg"),
        ("hard link", f"{own.output}/a.png", f"{ground.foreign}/b.png"),
    ]
    assert allowed(attempts(ground.policy, cases)) == []


def test_no_link_leads_the_worker_out_of_what_it_takes(ground: Ground) -> None:
    """An engine cannot create or move links, pipes or sockets in folders that the worker reads."""
    own = ground.folders
    private = own.root / "home" / "folder"
    cases = [
        *(("symlink", "/etc/passwd", f"{folder}/l") for folder in (own.output, own.root / "temp", own.input, own.root)),
        *((kind, f"{own.output}/x") for kind in ("fifo", "unix socket")),
        ("mkdir", f"{private}"),
        ("symlink", "/etc/passwd", f"{private}/l"),
        ("fifo", f"{private}/f"),
        ("rename", f"{private}", f"{own.output}/folder"),
    ]
    assert allowed(attempts(ground.policy, cases)) == [f"mkdir {private}", f"rename {private} {own.output}/folder"]
    assert list((own.output / "folder").iterdir()) == []


@pytest.fixture
def victim(ground: Ground) -> Iterator[int]:
    """A process with a secret in its environment, like the worker."""
    process = subprocess.Popen(["/bin/sleep", "60"], env={"WORKER_TOKENS": SECRET})
    yield process.pid
    process.kill()
    process.wait()


def test_other_processes_can_not_be_looked_into(ground: Ground, victim: int) -> None:
    """An engine cannot read environment, memory, files or threads of processes outside its sandbox."""
    places = ("environ", "mem", "maps", "auxv", "fd/0", "fdinfo/0", "root", "cwd", "exe")
    kinds = {"fd/0": "link", "root": "link", "cwd": "link", "exe": "link"}
    cases: list[tuple[str | int, ...]] = [
        (kinds.get(place, "read"), f"/proc/{pid}/{place}") for pid in (victim, os.getpid(), 1) for place in places
    ]
    cases += [("child", "read", f"/proc/{victim}/environ"), ("ptrace", victim), ("memory", victim)]
    cases += [("read", f"/proc/{victim}/root/etc/hosts"), ("read", f"/proc/{victim}/task/{victim}/environ")]
    assert allowed(attempts(ground.policy, cases)) == []


def test_two_engines_can_not_look_into_each_other(ground: Ground, tmp_path: Path) -> None:
    """An engine cannot read another engine's process."""
    sleeper = [sys.executable, "-c", "import os; os.write(1, b'ready'); import time; time.sleep(60)"]
    with given(ground.policy) as stdin:
        first = subprocess.Popen(
            [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *sleeper],
            stdin=stdin,
            stdout=subprocess.PIPE,
            env={"KEY": SECRET},
        )
    try:
        assert first.stdout is not None
        assert first.stdout.read(5) == b"ready"
        cases = [("read", f"/proc/{first.pid}/environ"), ("read", f"/proc/{first.pid}/fd/1"), ("memory", first.pid)]
        if LANDLOCK >= 6:
            cases.append(("signal", first.pid))
        assert allowed(attempts(ground.policy, cases)) == []
    finally:
        first.kill()
        first.wait()
        if first.stdout is not None:
            first.stdout.close()


@pytest.mark.skipif(LANDLOCK < 6, reason="signals and abstract sockets: Linux 6.12")
def test_the_worker_gets_no_signal_and_no_abstract_socket(ground: Ground, victim: int) -> None:
    """An engine cannot signal outside processes or connect to their abstract sockets."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0comfy-{os.getpid()}")
        server.listen()
        cases = [("signal", victim), ("signal", os.getpid()), ("signal", 1), ("abstract", f"comfy-{os.getpid()}")]
        assert allowed(attempts(ground.policy, cases)) == []


def test_root_is_nobody_special(ground: Ground) -> None:
    """An engine that runs as root has no capability, and cannot get one, mount or change its user."""
    program = [sys.executable, "-c", "print(open('/proc/self/status').read())"]
    for command in (program, ["/bin/sh", "-c", "cat /proc/self/status"]):
        done = launch(ground.policy, command)
        status = dict(line.split(":\t") for line in done.stdout.splitlines() if ":\t" in line)
        sets = ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if os.geteuid() == 0 else []))
        assert {status[name].strip() for name in sets} == {"0" * 16}
        assert status["NoNewPrivs"].strip() == "1"
    cases = [("chroot", "/"), ("mount", "/proc", f"{ground.folders.output}"), ("nice", -5)]
    cases += [("setuid", 12345)] if os.geteuid() == 0 else []
    assert allowed(attempts(ground.policy, cases)) == []


def test_no_descriptor_of_the_worker_is_left(ground: Ground) -> None:
    """The launcher closes inherited descriptors, and the engine's stdin is empty."""
    with (ground.state / "journal.sqlite").open() as file:
        code = (
            "import json, os, sys; print(json.dumps([sorted(map(int, os.listdir('/proc/self/fd'))), sys.stdin.read()]))"
        )
        done = launch(ground.policy, [sys.executable, "-c", code], pass_fds=[file.fileno()])
    descriptors, read = json.loads(done.stdout)
    assert descriptors == [0, 1, 2, 3]  # 3 is that of the listing itself
    assert read == ""


@pytest.mark.skipif(LANDLOCK < 4, reason="TCP: Linux 6.7")
def test_no_network_but_its_own_port(tmp_path: Path) -> None:
    """With WORKER_ENGINE_NETWORK=none an engine can use its own port only."""
    own, other = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        cases = [("connect", port), ("listen", other), ("listen", own), ("child", "connect", port)]
        for network, outcomes in (("none", ["EACCES", "EACCES", "done", "EACCES"]), ("all", ["done"] * 4)):
            settings = Settings.from_env({"WORKER_ENGINE_NETWORK": network}, state=tmp_path / network)
            _, policy = policy_of(settings, port=own)
            assert list(attempts(policy, cases).values()) == outcomes


def test_folders_can_be_added(tmp_path: Path) -> None:
    """WORKER_SANDBOX_READ and WORKER_SANDBOX_WRITE add folders, without the state folder in them."""
    fonts, shared = tmp_path / "fonts", tmp_path / "shared"
    for folder in (fonts, shared, shared / "state", shared / "more"):
        folder.mkdir()
        (folder / "a").write_text("text")
    settings = Settings.of(state=shared / "state", sandbox_read=f"{fonts}:{shared}", sandbox_write=str(shared / "more"))
    _, policy = policy_of(settings)
    cases = [("read", f"{fonts}/a"), ("write", f"{fonts}/a"), ("read", f"{shared}/a"), ("read", f"{shared}/state/a")]
    cases += [("write", f"{shared}/more/a"), ("write", f"{shared}/a")]
    assert list(attempts(policy, cases).values()) == ["done", "EACCES", "done", "EACCES", "done", "EACCES"]


def test_it_ends_with_the_worker(ground: Ground, tmp_path: Path) -> None:
    """An engine in the sandbox ends when its parent is killed."""
    policy = tmp_path / "policy.json"
    policy.write_bytes(ground.policy.as_json())
    start = f"""
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-I", "-S", {launcher.__file__!r}, str(os.getpid()), sys.executable, "-c",
     "import time; print('up', flush=True); time.sleep(60)"],
    stdin=open({str(policy)!r}), stdout=subprocess.PIPE)
child.stdout.read(2)
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    watched = os.pidfd_open(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert select.select([watched], [], [], 20)[0], "the engine outlived its worker"
    os.close(watched)


def test_a_ruleset_that_fails_ends_the_start(ground: Ground) -> None:
    """The launcher exits when the kernel rejects a rule."""
    done = launch(replace(ground.policy, tcp=(70_000,)), ["/bin/echo", "started"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "the sandbox cannot be set up: a rule for a port" in done.stderr


def denied(outcomes: dict[str, str]) -> dict[str, str]:
    return {case: outcome for case, outcome in outcomes.items() if outcome != "done"}


def allowed(outcomes: dict[str, str]) -> list[str]:
    """Return the accesses that were not denied. A missing file would prove nothing."""
    assert set(outcomes.values()) <= {"done", "EACCES", "EPERM", "EXDEV", "ESRCH"}, outcomes
    return [case for case, outcome in outcomes.items() if outcome == "done"]

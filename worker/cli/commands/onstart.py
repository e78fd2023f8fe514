"""`comfy-worker onstart`: the worker in a container whose entry point is another's, as in Vast's launch mode `ssh`."""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.hosting import log_writer
from worker.errors import StartupError
from worker.settings import Settings, environment
from worker.subcommand import worker_command

CONSOLE = Path("/proc/1/fd/1")
LOG_LIMIT = 16 * 1024 * 1024
RESTARTS = "5"
ROOT = 0

log = logging.getLogger("worker.onstart")


@dataclass(frozen=True, slots=True)
class Person:
    """Who the worker runs as."""

    name: str
    uid: int
    gid: int


def command(
    user: Annotated[str, typer.Option(help="whom the worker runs as, where this is root")] = "worker",
) -> None:
    """Start the worker in the background, once; for Vast's ssh mode.

    What root has to do is done here: state folder, links for the certificate, environment. The worker then is the
    user's, is started again when it dies, and writes to worker.log in the state folder and to the container's log.
    """
    from worker.cli.commands.serve import failure_reported
    from worker.cli.hosting.container_environment import gathered, read_first, read_saved
    from worker.platforms.registry import PLATFORMS, choose_platform

    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    owned = tuple(beginning for platform in PLATFORMS for beginning in platform.owned_variables)
    env = gathered(environment(), read_first(), read_saved(), owned)
    with failure_reported(None, env):
        person = _person(user) if os.geteuid() == ROOT else None
        settings = Settings.from_env(env)
        state = settings.state.absolute()
        lock = _prepared(state, person, choose_platform(settings.platform, env).links(state))
        if lock is None:
            typer.echo(f"the worker runs already; see tail -f {state / 'worker.log'}")
            return
        process = _start({**env, "WORKER_STATE": str(state)}, state, person, lock)
        typer.echo(f"the worker is process {process}; see tail -f {state / 'worker.log'}")


def _person(name: str) -> Person:
    """Raises StartupError."""
    try:
        found = pwd.getpwnam(name) if not name.isdigit() else pwd.getpwuid(int(name))
        return Person(found.pw_name, found.pw_uid, found.pw_gid)
    except KeyError:
        if name.isdigit():
            return Person(name, int(name), int(name))
        raise StartupError(f"there is no user {name!r} for the worker to run as; --user names another") from None


def _prepared(state: Path, person: Person | None, links: Mapping[Path, Path]) -> int | None:
    """The state folder is there and the user's; the lock that says so, None where a worker has it. Raises StartupError.

    The kernel gives the lock back when its holder ends, however that was: a container that starts again has none.
    """
    try:
        for folder in (state, *(target.parent for target in links.values())):
            folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(state / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        if person is not None:
            for path, target in links.items():
                if not path.exists() and not path.is_symlink():
                    path.symlink_to(target)
            _give(state, person)
    except OSError as error:
        raise StartupError(f"{state} can't be made the worker's: {error}") from error
    return lock


def _give(folder: Path, person: Person) -> None:
    """Everything in it, links themselves and not what they lead to."""
    for root, _, files in os.walk(folder):
        for path in (root, *(os.path.join(root, name) for name in files)):  # noqa: PTH118 - there may be many
            if os.lstat(path).st_uid != person.uid:
                os.chown(path, person.uid, person.gid, follow_symlinks=False)


def _start(env: dict[str, str], state: Path, person: Person | None, lock: int) -> int:
    """Its process id. It is nobody's child afterwards, and holds the lock."""
    env.setdefault("WORKER_RESTARTS", RESTARTS)
    book = [sys.executable, "-I", "-S", log_writer.__file__, str(state / "worker.log"), str(LOG_LIMIT)]
    console = _console()
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*book, *worker_command("serve")],
        cwd=state,
        env={**env, "HOME": str(state)} if person else env,
        stdin=subprocess.DEVNULL,
        stdout=console,
        stderr=console,
        start_new_session=True,
        pass_fds=(lock,),
        user=person.uid if person else None,
        group=person.gid if person else None,
        extra_groups=[] if person else None,
    )
    os.close(console)
    os.ftruncate(lock, 0)
    os.write(lock, f"{process.pid}\n".encode())
    os.close(lock)
    return process.pid


def _console() -> int:
    """The container's log, where it can be written without waiting for a reader; else nothing."""
    try:
        return os.open(CONSOLE, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)

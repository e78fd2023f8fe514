"""`comfy-worker onstart`: a worker in the background of a container that has another entry point.

Vast's launch mode `ssh` is such a case.
"""

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
from worker.cli.options import Json
from worker.errors import StartupError
from worker.settings import Settings, environment
from worker.subcommand import worker_command

CONTAINER_LOG = Path("/proc/1/fd/1")
LOG_LIMIT = 16 * 1024 * 1024
RESTARTS = "5"
ROOT = 0

EXAMPLES = ("comfy-worker onstart", "comfy-worker onstart --user worker --json")

log = logging.getLogger("worker.onstart")


@dataclass(frozen=True, slots=True)
class WorkerUser:
    """The user of the worker's process."""

    name: str
    uid: int
    gid: int


def command(
    user: Annotated[str, typer.Option(help="User of the worker's process, if this command runs as root.")] = "worker",
    *,
    as_json: Json = False,
) -> None:
    """Start the worker in the background, for Vast's ssh mode.

    Prepares what needs root: the state folder, the links to the certificate, and the environment. The worker is
    restarted when it dies. It logs to worker.log in the state folder and to the container's log. A second call starts
    no second worker.
    """
    from worker.cli.commands.serve import failure_reported
    from worker.cli.hosting.container_environment import merged_environment, read_process_one, read_saved
    from worker.platforms.registry import PLATFORMS, choose_platform

    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    platform_prefixes = tuple(prefix for platform in PLATFORMS for prefix in platform.owned_variables)
    env = merged_environment(environment(), read_process_one(), read_saved(), platform_prefixes)
    with failure_reported(None, env):
        worker_user = _worker_user(user) if os.geteuid() == ROOT else None
        settings = Settings.from_env(env)
        state = settings.state.absolute()
        lock = _prepare_state(state, worker_user, choose_platform(settings.platform, env).links(state))
        pid = None if lock is None else _start({**env, "WORKER_STATE": str(state)}, state, worker_user, lock)
    _print_started(pid, state / "worker.log", as_json=as_json)


def _print_started(pid: int | None, log_file: Path, *, as_json: bool) -> None:
    """Print the process id of the new worker, or that a worker runs already if `pid` is None."""
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"started": pid is not None, "pid": pid, "log": str(log_file)})
        return
    status = "the worker runs already" if pid is None else f"the worker is process {pid}"
    typer.echo(f"{status}; follow its log with `tail -f {log_file}`")


def _worker_user(name: str) -> WorkerUser:
    """Return the user with this name or number. A number needs no entry in the list of users.

    Raises StartupError when there is no user with this name.
    """
    try:
        entry = pwd.getpwnam(name) if not name.isdigit() else pwd.getpwuid(int(name))
        return WorkerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    except KeyError:
        if name.isdigit():
            return WorkerUser(name, int(name), int(name))
        raise StartupError(f"there is no user {name!r} to run the worker; name another one with --user") from None


def _prepare_state(state: Path, user: WorkerUser | None, links: Mapping[Path, Path]) -> int | None:
    """Lock the state folder, make it and its links the user's, and return the file descriptor of the lock.

    Return None when another worker holds the lock. The kernel releases the lock when its holder ends, so that a
    restarted container finds it free. Raises StartupError.
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
        if user is not None:
            for path, target in links.items():
                if not path.exists() and not path.is_symlink():
                    path.symlink_to(target)
            _change_owner(state, user)
    except OSError as error:
        raise StartupError(f"the state folder {state} cannot be prepared: {error}") from error
    return lock


def _change_owner(folder: Path, user: WorkerUser) -> None:
    """Make the user the owner of a folder and of everything in it. Links are changed, and not their targets."""
    for root, folders, files in os.walk(folder):
        for path in (root, *(os.path.join(root, name) for name in (*folders, *files))):  # noqa: PTH118 - there may be many
            if os.lstat(path).st_uid != user.uid:
                os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _start(env: dict[str, str], state: Path, user: WorkerUser | None, lock: int) -> int:
    """Start the worker in a session of its own and return its process id.

    The worker inherits the lock. This process closes its own descriptor of it.
    """
    env.setdefault("WORKER_RESTARTS", RESTARTS)
    log_command = [sys.executable, "-I", "-S", log_writer.__file__, str(state / "worker.log"), str(LOG_LIMIT)]
    container_log = _open_container_log()
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*log_command, *worker_command("serve")],
        cwd=state,
        env={**env, "HOME": str(state)} if user else env,
        stdin=subprocess.DEVNULL,
        stdout=container_log,
        stderr=container_log,
        start_new_session=True,
        pass_fds=(lock,),
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
    os.close(container_log)
    os.ftruncate(lock, 0)
    os.write(lock, f"{process.pid}\n".encode())
    os.close(lock)
    return process.pid


def _open_container_log() -> int:
    """Return a descriptor of the container's log, or of /dev/null if the log cannot be opened without waiting."""
    try:
        return os.open(CONTAINER_LOG, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)

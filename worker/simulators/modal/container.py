"""The process of a container: Modal's own entrypoint, in a process group and a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from grpclib.server import Server
from modal_proto import api_pb2

from worker.simulators.marked_processes import kill_marked_processes
from worker.simulators.modal.container_rpcs import ContainerRecord, ContainerRpcs
from worker.simulators.modal.handles import app_layout
from worker.simulators.modal.rpc_service import ControlPlaneParts
from worker.subcommand import module_command

ENTRYPOINT = "modal._container_entrypoint"
SOCKETS = "/tmp"  # noqa: S108 - the folder in it has a random name
NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo name eth0 && ip link set eth0 up && exec "$@"', "sh")
"""Command that runs another in a network of its own, in which the loopback interface is named eth0."""


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """How containers run here.

    `environ` returns variables for the container with this folder. They take precedence over those of the app.
    With `own_network` each container has its own network with an interface eth0, which Modal's web servers need.
    """

    folder: Path
    environ: Callable[[Path], Mapping[str, str]]
    own_network: bool = False


@dataclass(slots=True, eq=False)
class ContainerProcess:
    """A running container."""

    record: ContainerRecord
    process: asyncio.subprocess.Process
    log: Path

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process of the container. Its children get none."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def stop(self, number: signal.Signals, grace_s: float) -> None:
        """Send a signal, and kill the process after `grace_s` seconds."""
        self.send_signal(number)
        try:
            async with asyncio.timeout(grace_s):
                await self.process.wait()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            await self.process.wait()


@asynccontextmanager
async def run_container(
    parts: ControlPlaneParts, record: ContainerRecord, options: ContainerOptions
) -> AsyncIterator[ContainerProcess]:
    """Run a container. All its processes are killed at the end, with those that have left its process group."""
    folder = options.folder / record.task_id
    root = _lay_out(parts, record, folder)
    async with _serve_rpcs(ContainerRpcs(parts, record)) as socket:
        (folder / "arguments").write_bytes(_arguments(parts, record).SerializeToString())
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(NETWORK if options.own_network else ()),
                *_command(),
                cwd=root,
                env={**_environment(parts, record, options, folder), "MODAL_SERVER_URL": f"unix://{socket}"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield ContainerProcess(record, process, folder / "log")
        finally:
            await _end_all(process, folder)


@asynccontextmanager
async def _serve_rpcs(service: ContainerRpcs) -> AsyncIterator[Path]:
    """Serve one container on a Unix socket, and yield its path. It is in /tmp, because it may have only 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="modal-", dir=SOCKETS) as folder:
        path = Path(folder, "rpc")
        server = Server([service])
        await server.start(path=str(path))
        try:
            yield path
        finally:
            server.close()
            await server.wait_closed()


def _command() -> Sequence[str]:
    """Return the command line of Modal's entrypoint."""
    return module_command(ENTRYPOINT)


def _lay_out(parts: ControlPlaneParts, record: ContainerRecord, folder: Path) -> Path:
    """Write the files of the function's mounts below `folder`, and return what is /root in the container."""
    root = folder / "root"
    root.mkdir(parents=True)
    for mount_id in record.definition.mount_ids:
        for file in parts.state.mounts.get(mount_id, []):
            target = (folder / file.filename.lstrip("/")).resolve()
            if not target.is_relative_to(folder.resolve()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(parts.state.mount_files[file.sha256_hex])
    return root


def _arguments(parts: ControlPlaneParts, record: ContainerRecord) -> api_pb2.ContainerArguments:
    """Return the arguments of Modal's entrypoint."""
    app = record.function.app
    return api_pb2.ContainerArguments(
        task_id=record.task_id,
        function_id=record.function.id,
        app_id=app.id,
        function_def=record.definition,
        environment_name="main",
        app_layout=app_layout(parts.state, app),
    )


def _environment(
    parts: ControlPlaneParts, record: ContainerRecord, options: ContainerOptions, folder: Path
) -> dict[str, str]:
    """Return the environment of a container: Modal's variables, and those of the secrets."""
    variables = {"PATH": os.defpath, "PYTHONUNBUFFERED": "1", "HOME": str(folder), "PYTHONPATH": str(folder / "root")}
    for secret_id in record.definition.secret_ids:
        variables |= parts.state.secrets[secret_id].variables
    return {
        **variables,
        "MODAL_IS_REMOTE": "1",
        "MODAL_CONTAINER_ARGUMENTS_PATH": str(folder / "arguments"),
        "MODAL_TASK_ID": record.task_id,
        "MODAL_IMAGE_ID": record.definition.image_id,
        "MODAL_ENVIRONMENT": "main",
        "MODAL_REGION": "local",
        "MODAL_CLOUD_PROVIDER": "CLOUD_PROVIDER_LOCAL",
        **options.environ(folder),
    }


async def _end_all(process: asyncio.subprocess.Process, folder: Path) -> None:
    """Kill the processes that are left of a container, and wait for the main one."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    await kill_marked_processes(f"MODAL_CONTAINER_ARGUMENTS_PATH={folder / 'arguments'}")

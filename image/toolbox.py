"""Buildah and Podman with their own storage. Missing programs are installed from Debian's packages."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

ROOT = Path(__file__).parents[1]
STORE = ROOT / ".image"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
SUITE = "bookworm"
BASE = f"localhost/base:{SUITE}"
APT_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
CERTIFICATES = "/usr/local/share/ca-certificates"
CANNOT = 3
"""Exit code when the tools cannot be installed on this machine."""


class NoToolsError(Exception):
    """The tools cannot be installed; the message names what is missing."""


class BuildError(Exception):
    """The build failed; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools with all their data in one folder, separate from the machine's own containers."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the tools' processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return kept | {
            "TMPDIR": str(self.folder / "tmp"),
            "BUILDAH_FORMAT": "docker",  # the format oci has no HEALTHCHECK
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
        }

    @classmethod
    def prepared(cls, folder: Path = STORE) -> Toolbox:
        """Return a toolbox with its tools installed and its base image imported. Raises NoToolsError."""
        if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
            install(missing)
        toolbox = cls(folder)
        toolbox._configure()
        toolbox._import_base()
        return toolbox

    def build(self, tag: str, *, contexts: Mapping[str, Path], arguments: Mapping[str, str]) -> float:
        """Build the Dockerfile, reusing unchanged layers, and return the seconds it took.

        The log is written into the folder. Raises BuildError with the end of the log.
        """
        command = ["buildah", "build", "--layers", "--pull-never", "--tag", tag]
        command += [f"--build-context={name}={path}" for name, path in contexts.items()]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        log = self.folder / f"{tag.rpartition('/')[2].replace(':', '-')}.log"
        started = time.monotonic()
        with log.open("w") as output:
            exit_code = subprocess.call([*command, str(ROOT)], env=self.environment, stdout=output, stderr=output)
        if exit_code:
            raise BuildError(f"{log}:\n" + "\n".join(log.read_text().splitlines()[-40:]))
        return time.monotonic() - started

    def podman(self, *arguments: str) -> str:
        """Run Podman and return its standard output. Raises CalledProcessError."""
        done = subprocess.run(
            ["podman", *arguments], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    @contextmanager
    def engine(self) -> Iterator[docker.DockerClient]:
        """Yield Docker's own client, connected to Podman's socket."""
        with tempfile.TemporaryDirectory() as folder:  # because a socket's path has to be short
            address = f"unix://{folder}/podman.sock"
            command = ["podman", "system", "service", "--time=0", address]
            service = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
            try:
                client = _connected(address)
                yield client
                client.close()
            finally:
                service.terminate()
                service.wait(10)

    def _configure(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder}/store"\nrunroot = "{self.folder}/run"\n'
        )
        # Limits that need no privileges, and runc, because crun does not support every layout of cgroups.
        (self.folder / "containers.conf").write_text(
            f'[containers]\nnetns = "host"\ndefault_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'
        )

    def _import_base(self) -> None:
        """Import a small Debian with this machine's trusted certificates and package sources."""
        if subprocess.call(["podman", "image", "exists", BASE], env=self.environment) == 0:
            return
        archive = self.folder / "base.tar"
        trust = (
            f'mkdir -p "$1{CERTIFICATES}"; cp {CERTIFICATES}/*.crt "$1{CERTIFICATES}/" 2>/dev/null || true; '
            'chroot "$1" update-ca-certificates >/dev/null 2>&1'
        )
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"]
        command += [f"--customize-hook={trust}", SUITE, str(archive), str(APT_SOURCES)]
        _prepare(command, self.environment)
        self.podman("import", "--quiet", "--change", 'CMD ["/bin/bash"]', str(archive), BASE)
        archive.unlink()


def install(missing: list[str]) -> None:
    """Install programs from Debian's packages. Raises NoToolsError."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None or not APT_SOURCES.is_file():
        raise NoToolsError(f"{', '.join(missing)} missing, and only root on a Debian can install them here")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _prepare(["apt-get", "--quiet", "update"], quiet)
    _prepare(["apt-get", "--quiet", "install", "--yes", "--no-install-recommends", *missing], quiet)


def _prepare(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a command. Raises NoToolsError with the end of its output when it fails."""
    done = subprocess.run(
        command, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise NoToolsError(f"{command[0]} failed: {done.stdout.strip()[-500:]}")


def _connected(address: str) -> docker.DockerClient:
    """Return a client once the service accepts connections, within 10 s."""
    until = time.monotonic() + 10
    while True:
        try:
            return docker.DockerClient(base_url=address, timeout=60)
        except docker.errors.DockerException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    try:
        Toolbox.prepared()
    except NoToolsError as error:
        print(f"image-test CANNOT RUN HERE: {error}", file=sys.stderr)
        sys.exit(CANNOT)

"""The parts of a Linux machine that every engine needs: libraries, a few files of /etc, and devices by name."""

from __future__ import annotations

from pathlib import Path

LIBRARIES = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/opt/nvidia", "/opt/cuda", "/opt/rocm*", "/opt/amdgpu*", "/opt/intel"),
    *("/var/cache/fontconfig", "/run/systemd/resolve", "/run/resolvconf", "/run/opengl-driver"),
)
"""/opt as a whole is where operators put things of their own; an interpreter in it is found by its prefix."""
ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gai.conf", "glvnd"),
    *("host.conf", "hostname", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime"),
    *("magic", "magic.mime", "mime.types", "nsswitch.conf", "nvidia", "OpenCL", "os-release", "pki", "protocols"),
    *("resolv.conf", "services", "ssl", "timezone", "vulkan", "ImageMagick-6", "ImageMagick-7", "locale.alias"),
)
"""Not passwd, shadow or environment: on rented machines /etc/environment has the platform's keys."""
KERNEL = ("/proc", "/sys")
"""The kernel shows a process without capabilities the memory, environment and descriptors of no process outside its
sandbox; their names and arguments it shows to everybody, so none of ours has a secret in its arguments."""
DEVICES = (
    *("null", "zero", "full", "random", "urandom"),
    *("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps", "nvidia-caps-imex-channels"),
    *("nvidia-nvswitch*", "nvidia-nvlink", "nvhost-*", "nvmap", "dri", "kfd", "dxg", "infiniband", "gdrdrv", "accel"),
)
"""Terminals are not among them, as an operator may sit at one, nor disks, which root could read."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the C library has it
MPS = "CUDA_MPS_PIPE_DIRECTORY"
MPS_DEFAULT = "/tmp/nvidia-mps"  # noqa: S108 - NVIDIA's default


def system_paths() -> list[Path]:
    """Return the folders and files of the system that may be read."""
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    etc = [Path("/etc") / name for name in ETC]
    return [*found, *(path for path in etc if path.exists()), *map(Path, KERNEL)]


def devices() -> list[Path]:
    """Return the device files and folders of them that are there now: none appears for a sandbox that stands."""
    return [path for pattern in DEVICES for path in Path("/dev").glob(pattern)]

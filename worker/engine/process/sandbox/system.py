"""The parts of a Linux machine that every engine needs: libraries, some files of /etc, and devices."""

from __future__ import annotations

from pathlib import Path

LIBRARIES = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/opt/nvidia", "/opt/cuda", "/opt/rocm*", "/opt/amdgpu*", "/opt/intel"),
    *("/var/cache/fontconfig", "/run/systemd/resolve", "/run/resolvconf", "/run/opengl-driver"),
)
"""Folders with libraries.

/opt as a whole is left out, because operators install other programs there. An interpreter in /opt is found by its
prefix."""
ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "gai.conf", "glvnd"),
    *("host.conf", "hostname", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime"),
    *("magic", "magic.mime", "mime.types", "nsswitch.conf", "nvidia", "OpenCL", "os-release", "pki", "protocols"),
    *("resolv.conf", "services", "ssl", "timezone", "vulkan", "ImageMagick-6", "ImageMagick-7", "locale.alias"),
)
"""Files of /etc. passwd, shadow and environment are left out: /etc/environment has the platform's keys on rented
machines."""
KERNEL = ("/proc", "/sys")
"""File systems of the kernel.

A process without capabilities cannot read the memory, environment or descriptors of processes outside its sandbox. It
can read their names and arguments, so no argument of the worker holds a secret."""
DEVICES = (
    *("null", "zero", "full", "random", "urandom"),
    *("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps", "nvidia-caps-imex-channels"),
    *("nvidia-nvswitch*", "nvidia-nvlink", "nvhost-*", "nvmap", "dri", "kfd", "dxg", "infiniband", "gdrdrv", "accel"),
)
"""Device files. Terminals are left out because an operator may use one, and disks because root could read them."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the C library has it
MPS = "CUDA_MPS_PIPE_DIRECTORY"
MPS_DEFAULT = "/tmp/nvidia-mps"  # noqa: S108 - NVIDIA's default


def system_paths() -> list[Path]:
    """Return the folders and files of the system that may be read."""
    libraries = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    etc = [Path("/etc") / name for name in ETC]
    return [*libraries, *(path for path in etc if path.exists()), *map(Path, KERNEL)]


def devices() -> list[Path]:
    """Return the device files and folders that exist now. Later ones are not accessible in the sandbox."""
    return [path for pattern in DEVICES for path in Path("/dev").glob(pattern)]

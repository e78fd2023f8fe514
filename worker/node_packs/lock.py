"""Resolves the requirements of ComfyUI and all packs together with uv, into one lock file for each group."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from worker.errors import LockError
from worker.node_packs.lockfile import CONSTRAINTS, LockEntry, lock_files, lock_header, read_entries
from worker.node_packs.pins import BASE, PinnedPack, Pins
from worker.node_packs.requirements import read_requirements

PYTHON = "3.11"
PLATFORM = "sys_platform == 'linux' and platform_machine == 'x86_64'"

LEFT_OUT = (
    *("opencv-python", "opencv-contrib-python"),  # `requirements` replaces them by the packages without windows
    *("comfyui-workflow-templates", "comfyui-embedded-docs"),  # 500 MB of images and pages for the editor
)
"""Packages that are never installed, even when a pack requires them."""

Requirements = Mapping[str, tuple[str, ...]]
"""The requirements of each pack by its name."""


def make_locks(pins: Pins, sources: Path | None, folder: Path, *, upgrade: bool = False) -> dict[str, str]:
    """Return the texts of the lock files by name.

    `sources` may have the packs as folders, and the others are fetched with git. `folder` has the constraints and the
    present locks, whose versions are kept unless `upgrade` is set. It is not written. Raises LockError, SourceError and
    RequirementsError.
    """
    requirements = {pack.name: read_requirements(pack, sources) for pack in (pins.comfyui, *pins.packs)}
    constraints = constraints_in(folder)
    present_locks = "" if upgrade else _present_locks(folder)
    all_entries = resolve_requirements(pins, pins.groups, requirements, constraints, present_locks)
    # Each group is resolved again with the versions that fit together in an image with all groups.
    versions = "".join(f"{entry.name}=={entry.version}{_marker_of(entry)}\n" for entry in all_entries)
    by_group = {group: resolve_requirements(pins, {BASE, group}, requirements, versions, "") for group in pins.groups}
    base = by_group.pop(BASE)
    return lock_files(base, by_group, lock_header(pins, constraints))


def _present_locks(folder: Path) -> str:
    """Return the texts of all lock files in a folder, joined."""
    paths = [path for path in sorted(folder.glob("*.lock")) if path.name.startswith(("comfyui", "torch"))]
    return "".join(path.read_text("utf-8") for path in paths)


def constraints_in(folder: Path) -> str:
    """Return the text of `constraints.txt` in a folder, or an empty text when there is none."""
    path = folder / CONSTRAINTS
    return path.read_text("utf-8") if path.exists() else ""


def resolve_requirements(
    pins: Pins, groups: Iterable[str], requirements: Requirements, constraints: str, present_locks: str
) -> tuple[LockEntry, ...]:
    """Return the packages that an image with these groups installs, as uv resolves them.

    `constraints` and `present_locks` are texts of requirements files: bounds, and versions to keep if they fit. Raises
    LockError, which names the packs that cannot be installed together and the reason.
    """
    chosen = (pins.comfyui, *pins.packs_in_groups(groups))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_projects(folder, chosen, requirements)
        (folder / "constraints.txt").write_text(constraints, "utf-8")
        (folder / "out.lock").write_text(present_locks, "utf-8")  # uv keeps the versions in its output file
        done = subprocess.run(  # noqa: S603 - uv, with files that we wrote
            _command(chosen), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LockError(_conflict(done.stderr, chosen))
        return read_entries((folder / "out.lock").read_text("utf-8"))


def _write_projects(folder: Path, packs: Iterable[PinnedPack], requirements: Requirements) -> None:
    """Write a pyproject.toml for each pack into a subfolder, and one into `folder` that depends on all packs.

    With a project for each pack, uv's message about a conflict names the packs.
    """
    for pack in packs:
        (folder / pack.name).mkdir()
        text = f'[project]\nname = "{_alias(pack)}"\nversion = "0"\nrequires-python = ">={PYTHON}"\n'
        text += f"dependencies = {json.dumps(requirements[pack.name])}\n"
        (folder / pack.name / "pyproject.toml").write_text(text, "utf-8")
    names = json.dumps([_alias(pack) for pack in packs])
    never_installed = [f"{name} ; python_version < '3'" for name in LEFT_OUT]
    text = f'[project]\nname = "image"\nversion = "0"\nrequires-python = ">={PYTHON}"\ndependencies = {names}\n'
    text += f'[tool.uv]\nenvironments = ["{PLATFORM}"]\noverride-dependencies = {json.dumps(never_installed)}\n'
    text += "[tool.uv.sources]\n"
    text += "".join(f'{_alias(pack)} = {{ path = "{pack.name}" }}\n' for pack in packs)
    (folder / "pyproject.toml").write_text(text, "utf-8")


def _alias(pack: PinnedPack) -> str:
    """Return the name under which a pack is a package in the projects for uv."""
    return f"pack-{re.sub('[-_.]+', '-', pack.name).lower()}"


def _command(packs: Iterable[PinnedPack]) -> list[str]:
    """Return the command line of uv, which writes the resolved packages, without the packs, into out.lock."""
    without_packs = [word for pack in packs for word in ("--no-emit-package", _alias(pack))]
    return [
        *(find_uv(), "pip", "compile", "pyproject.toml", "--quiet", "--color", "never"),
        *("--universal", "--python-version", PYTHON, "--fork-strategy", "fewest", "--generate-hashes"),
        *("--constraints", "constraints.txt", "--output-file", "out.lock"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", *without_packs),
    ]


def find_uv() -> str:
    """Return the path of uv: of its Python package, or else on the PATH. Raises LockError when it is not installed."""
    try:
        from uv import find_uv_bin

        bundled: str = find_uv_bin()
        return bundled
    except (ImportError, FileNotFoundError):
        path = shutil.which("uv")
        if path is not None:
            return path
    raise LockError("uv is not installed; install it with the extra: pip install 'comfy-worker[nodes]'")


def _conflict(message: str, packs: Iterable[PinnedPack]) -> str:
    """Return uv's message on one line, with the packs' own names. If it names several packs, it starts with them."""
    text, named_packs = message, []
    for pack in packs:
        text, count = re.subn(rf"\b{re.escape(_alias(pack))}(==0)?(?![\w-])", pack.name, text)
        if count:
            named_packs.append(pack.name)
    reasons = " ".join(text.replace("error: ", "").replace("cause: ", "").split())
    return f"{' and '.join(named_packs)} cannot be installed together: {reasons}" if len(named_packs) > 1 else reasons


def _marker_of(entry: LockEntry) -> str:
    """Return the end of a requirement's line with the entry's marker, empty without a marker."""
    return f" ; {entry.marker}" if entry.marker else ""

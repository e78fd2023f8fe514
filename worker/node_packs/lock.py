"""One resolution of all that ComfyUI and its packs want, by uv, written as one lock file a group."""

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
    *("opencv-python", "opencv-contrib-python"),  # `requirements` takes them without their windows
    *("comfyui-workflow-templates", "comfyui-embedded-docs"),  # pictures and pages for the editor, 500 MB of them
)
"""Never installed, whoever wants them."""

Wanted = Mapping[str, tuple[str, ...]]
"""Requirements by the name of a pack."""


def make_locks(pins: Pins, sources: Path | None, folder: Path, *, upgrade: bool = False) -> dict[str, str]:
    """The texts of the files by name; `folder` is read for constraints and for versions to keep, not written.

    Raises LockError, SourceError, RequirementsError.
    """
    wanted = {pack.name: read_requirements(pack, sources) for pack in (pins.comfyui, *pins.packs)}
    constraints = constraints_in(folder)
    kept = "" if upgrade else "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.lock")) if _ours(path))
    everything = resolve_requirements(pins, pins.groups, wanted, constraints, kept)
    # Each group alone takes the versions that go together in an image with all groups.
    together = "".join(f"{entry.name}=={entry.version}{_marked(entry)}\n" for entry in everything)
    base, *more = (resolve_requirements(pins, {BASE, group}, wanted, together, "") for group in pins.groups)
    return lock_files(base, dict(zip(pins.groups[1:], more, strict=True)), lock_header(pins, constraints))


def constraints_in(folder: Path) -> str:
    path = folder / CONSTRAINTS
    return path.read_text("utf-8") if path.exists() else ""


def resolve_requirements(
    pins: Pins, groups: Iterable[str], wanted: Wanted, constraints: str, kept: str
) -> tuple[LockEntry, ...]:
    """What an image with these groups installs. Raises LockError: the packs that can't be had together, and why."""
    chosen = (pins.comfyui, *pins.chosen(groups))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write(folder, chosen, wanted)
        (folder / "constraints.txt").write_text(constraints, "utf-8")
        (folder / "out.lock").write_text(kept, "utf-8")
        done = subprocess.run(  # noqa: S603 - uv, and files of ours
            _command(chosen), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LockError(_conflict(done.stderr, chosen))
        return read_entries((folder / "out.lock").read_text("utf-8"))


def _write(folder: Path, packs: Iterable[PinnedPack], wanted: Wanted) -> None:
    """Each pack is a package of its own, so that uv names it where packs collide."""
    for pack in packs:
        (folder / pack.name).mkdir()
        text = f'[project]\nname = "{_alias(pack)}"\nversion = "0"\nrequires-python = ">={PYTHON}"\n'
        text += f"dependencies = {json.dumps(wanted[pack.name])}\n"
        (folder / pack.name / "pyproject.toml").write_text(text, "utf-8")
    names = json.dumps([_alias(pack) for pack in packs])
    never = [f"{name} ; python_version < '3'" for name in LEFT_OUT]
    text = f'[project]\nname = "image"\nversion = "0"\nrequires-python = ">={PYTHON}"\ndependencies = {names}\n'
    text += f'[tool.uv]\nenvironments = ["{PLATFORM}"]\noverride-dependencies = {json.dumps(never)}\n'
    text += "[tool.uv.sources]\n"
    text += "".join(f'{_alias(pack)} = {{ path = "{pack.name}" }}\n' for pack in packs)
    (folder / "pyproject.toml").write_text(text, "utf-8")


def _alias(pack: PinnedPack) -> str:
    return f"pack-{re.sub('[-_.]+', '-', pack.name).lower()}"


def _command(packs: Iterable[PinnedPack]) -> list[str]:
    hidden = [word for pack in packs for word in ("--no-emit-package", _alias(pack))]
    return [
        *(find_uv(), "pip", "compile", "pyproject.toml", "--quiet", "--color", "never"),
        *("--universal", "--python-version", PYTHON, "--fork-strategy", "fewest", "--generate-hashes"),
        *("--constraints", "constraints.txt", "--output-file", "out.lock"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", *hidden),
    ]


def find_uv() -> str:
    """Raises LockError."""
    try:
        from uv import find_uv_bin

        bundled: str = find_uv_bin()
        return bundled
    except (ImportError, FileNotFoundError):
        if found := shutil.which("uv"):
            return found
    raise LockError("uv is not installed; it comes with the extra: pip install 'comfy-worker[nodes]'")


def _conflict(said: str, packs: Iterable[PinnedPack]) -> str:
    """uv's reasons with our names of the packs; those that it names stand first."""
    text, named = said, []
    for pack in packs:
        text, count = re.subn(rf"\b{re.escape(_alias(pack))}(==0)?(?![\w-])", pack.name, text)
        named += [pack.name] if count else []
    reasons = " ".join(text.replace("error: ", "").replace("cause: ", "").split())
    return f"{' and '.join(named)} can't be installed together: {reasons}" if len(named) > 1 else reasons


def _marked(entry: LockEntry) -> str:
    return f" ; {entry.marker}" if entry.marker else ""


def _ours(path: Path) -> bool:
    return path.name.startswith(("comfyui", "torch"))

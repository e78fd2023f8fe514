"""The shell scripts of the workflows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.ci.workflows import ROOT

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def commit(repository: Path, name: str, text: str) -> str:
    """Make a commit and return its hash."""
    file = repository / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for arguments in (("add", "-A"), (*IDENTITY, "commit", "--quiet", "--message", name)):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()


def checkout(folder: Path) -> Path:
    """Return a repository with the scripts."""
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    shutil.copytree(ROOT / "ci", folder / "ci")
    shutil.copy(ROOT / ".dockerignore", folder)
    return folder


def said(repository: Path, script: str, **env: str) -> str:
    return subprocess.check_output([repository / "ci" / script], env=env or None, text=True).strip()


def test_commits_that_leave_the_image_alone_share_one(tmp_path: Path) -> None:
    """Docs, tests and vast.toml do not change the revision; a pin and the worker do."""
    repository = checkout(tmp_path / "repository")
    commit(repository, "worker/app.py", "1")
    first = commit(repository, "comfyui_nodes.txt", "2")
    for name in ("docs/ci.md", "tests/test_app.py", "vast.toml"):
        commit(repository, name, "3")
        assert said(repository, "revision.sh") == first
    assert said(repository, "revision.sh") != commit(repository, "worker/app.py", "4")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    assert said(repository, "revision.sh") == head


def test_an_image_that_is_not_built_goes_by_its_name(tmp_path: Path) -> None:
    """An image that is not built is named by its tag, in lower case."""
    repository = checkout(tmp_path / "repository")
    head = commit(repository, "worker/app.py", "1")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env", "git", "sed"):
        (programs / name).symlink_to(shutil.which(name) or name)
    image = said(repository, "image.sh", PATH=str(programs), GITHUB_REPOSITORY="Us/Fleet")
    assert image == f"image=ghcr.io/us/fleet:rev-{head}"


def test_space_is_freed_only_if_needed(tmp_path: Path) -> None:
    """Folders are removed in order, and only until enough space is free."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    call = [ROOT / "ci" / "free_space.sh"]
    subprocess.run([*call, "0", *folders], cwd=tmp_path, check=True, capture_output=True)
    assert all(folder.exists() for folder in folders)
    done = subprocess.run([*call, "9999999", *folders], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert not any(folder.exists() for folder in folders)
    assert done.stdout.startswith(f"removing {folders[0]}\nremoving {folders[1]}\n")

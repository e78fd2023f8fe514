"""The text of the Dockerfile."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
CODE = re.sub(r"^#.*$", "", TEXT, flags=re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    """hadolint finds no problem, except for those that the file excludes."""
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    said = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0


def test_docker_and_buildah_support_the_dockerfile() -> None:
    """The Dockerfile uses only features of both BuildKit and buildah 1.28."""
    assert not re.search(r"^# *syntax", TEXT, re.MULTILINE)
    assert not re.search(r"<<|--link|--exclude|--parents|type=secret,.*env=|--network=", CODE, re.MULTILINE)


def test_no_python_searches_the_current_folder() -> None:
    """Every Python in the build runs with -P, and the image sets PYTHONSAFEPATH."""
    started = re.findall(r"(?:python|PYTHON\}\")\s+(-.*?)(?= --| \S+$| \")", CODE, re.MULTILINE)
    assert started
    assert [flags for flags in started if not flags.startswith("-P ")] == []
    assert "PYTHONSAFEPATH=1" in CODE.partition(" AS runtime")[2]


def test_the_base_is_pinned_by_digest() -> None:
    """The base image is pinned by its digest."""
    assert re.search(r"^ARG BASE_IMAGE=\S+:[\w.-]+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)


def test_every_argument_is_documented() -> None:
    """docs/image.md has one row for each build argument."""
    arguments = set(re.findall(r"^ARG (\w+)", TEXT, re.MULTILINE))
    table = (ROOT / "docs" / "image.md").read_text("utf-8").partition("## Arguments")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == arguments


def _included(name: str) -> str:
    """Return the entry of .dockerignore for a copied file: its top folder, except where only a part is copied."""
    return name.rstrip("/") if name.startswith(("image/", "examples/")) else name.split("/", maxsplit=1)[0]


def test_dockerignore_includes_the_copied_files() -> None:
    """.dockerignore includes exactly the files that the Dockerfile copies."""
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE):
        copied |= {_included(name) for name in line.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied

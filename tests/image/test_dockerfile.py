"""The Dockerfile as it is written."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
CODE = re.sub(r"^#.*$", "", TEXT, flags=re.MULTILINE)


def test_hadolint_has_nothing_to_say() -> None:
    """No rule is broken but those that are excused where they are."""
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    said = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0


def test_docker_and_buildah_both_know_what_is_used() -> None:
    """Nothing that only one of the two builders has: buildah 1.28 on Debian 12 and BuildKit."""
    assert not re.search(r"^# *syntax", TEXT, re.MULTILINE)
    assert not re.search(r"<<|--link|--exclude|--parents|type=secret,.*env=|--network=", CODE, re.MULTILINE)


def test_no_python_searches_the_current_folder() -> None:
    """Each module that a step runs has -P before it, and the image sets it for what is started by hand."""
    started = re.findall(r"(?:python|PYTHON\}\")\s+(-.*?)(?= --| \S+$| \")", CODE, re.MULTILINE)
    assert started
    assert [flags for flags in started if not flags.startswith("-P ")] == []
    assert "PYTHONSAFEPATH=1" in CODE.partition(" AS runtime")[2]


def test_the_base_is_pinned_by_digest() -> None:
    """A tag may be moved; what was tested is what is built."""
    assert re.search(r"^ARG BASE_IMAGE=\S+:[\w.-]+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)


def test_every_argument_is_documented() -> None:
    """docs/image.md has a row for each, and no other."""
    arguments = set(re.findall(r"^ARG (\w+)", TEXT, re.MULTILINE))
    table = (ROOT / "docs" / "image.md").read_text("utf-8").partition("## Arguments")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == arguments


def test_what_is_copied_is_let_through() -> None:
    """.dockerignore lets in what the Dockerfile copies from the checkout, and nothing else."""
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE):
        copied |= {name.split("/")[0] if name != "image/sbom.py" else name for name in line.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied

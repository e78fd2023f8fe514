"""The workflows, checked offline by tools for GitHub's rules."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.ci.workflows import FILES, ROOT, scripts

TOOLS = Path(sysconfig.get_path("scripts"))


def said(tool: str, *arguments: object) -> str:
    """Return the tool's findings, empty when there are none."""
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", FILES), ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"])],
)
def test_the_files_have_the_form_that_github_reads(schema: str, files: list[Path]) -> None:
    """The files match the schemas of check-jsonschema."""
    assert said("check-jsonschema", "--builtin-schema", schema, *files) == ""


def test_a_workflow_of_the_wrong_form_is_noticed(tmp_path: Path) -> None:
    """The schema rejects an invalid workflow."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(FILES[0].read_text("utf-8").replace("runs-on:", "run-on:", 1))
    assert "run-on" in said("check-jsonschema", "--verbose", "--builtin-schema", "vendor.github-workflows", wrong)


def test_zizmor_finds_nothing() -> None:
    """zizmor finds no problem in its strictest mode, offline."""
    assert (
        said("zizmor", "--offline", "--no-progress", "--persona=pedantic", "--strict-collection", ROOT / ".github")
        == ""
    )


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    """zizmor finds an expression in a script."""
    wrong = tmp_path / "wrong.yml"
    run = "make .venv/.ready LOCK=locks/worker.lock"
    text = (ROOT / ".github" / "workflows" / "rollback.yml").read_text("utf-8")
    wrong.write_text(text.replace(run, "echo ${{ inputs.commit }}", 1))
    assert "template-injection" in said("zizmor", "--offline", "--no-progress", "--persona=pedantic", wrong)


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """shellcheck finds no problem in any script."""
    files = [*(ROOT / "ci").glob("*.sh"), ROOT / ".ci" / "run"]
    for number, (name, text) in enumerate(scripts()):
        file = tmp_path / f"{name}-{number}.sh"
        file.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{text}")
        files.append(file)
    assert len(files) > 20
    assert said("shellcheck", *files) == ""

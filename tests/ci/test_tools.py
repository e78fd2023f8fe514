"""The workflows, read by tools that know GitHub's rules; none of them asks anybody."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.ci.workflows import FILES, ROOT, scripts

TOOLS = Path(sysconfig.get_path("scripts"))


def said(tool: str, *arguments: object) -> str:
    """What the tool has to complain about; nothing where it is content."""
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", FILES), ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"])],
)
def test_the_files_have_the_form_that_github_reads(schema: str, files: list[Path]) -> None:
    """Against the schemas that the tool brings along."""
    assert said("check-jsonschema", "--builtin-schema", schema, *files) == ""


def test_a_workflow_of_the_wrong_form_is_noticed(tmp_path: Path) -> None:
    """The schema isn't one that takes everything."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(FILES[0].read_text("utf-8").replace("runs-on:", "run-on:", 1))
    assert "run-on" in said("check-jsonschema", "--verbose", "--builtin-schema", "vendor.github-workflows", wrong)


def test_zizmor_finds_nothing() -> None:
    """Injected expressions, kept credentials, too many rights, poisoned caches and the like; strictly, and offline."""
    assert (
        said("zizmor", "--offline", "--no-progress", "--persona=pedantic", "--strict-collection", ROOT / ".github")
        == ""
    )


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    """The same call fails where an expression stands in a script."""
    wrong = tmp_path / "wrong.yml"
    run = "make .venv/.ready LOCK=locks/worker.lock"
    text = (ROOT / ".github" / "workflows" / "rollback.yml").read_text("utf-8")
    wrong.write_text(text.replace(run, "echo ${{ inputs.commit }}", 1))
    assert "template-injection" in said("zizmor", "--offline", "--no-progress", "--persona=pedantic", wrong)


def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    """About the scripts in the workflows, those beside them, and the gate."""
    files = [*(ROOT / "ci").glob("*.sh"), ROOT / ".ci" / "run"]
    for number, (name, text) in enumerate(scripts()):
        file = tmp_path / f"{name}-{number}.sh"
        file.write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{text}")
        files.append(file)
    assert len(files) > 20
    assert said("shellcheck", *files) == ""

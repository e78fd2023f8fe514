"""`locks/worker.lock`, from which an image installs the worker's environment."""

from __future__ import annotations

from tests.cli.terminal import ROOT
from worker.node_packs.lockfile import read_entries

WORKER = read_entries((ROOT / "locks" / "worker.lock").read_text("utf-8"))
TESTED = read_entries((ROOT / "requirements.lock").read_text("utf-8"))


def test_an_image_has_the_versions_that_are_tested() -> None:
    """Each package of the worker's lock is in the tests' lock with the same version and hashes."""
    tested = {(entry.name, entry.version, entry.hashes) for entry in TESTED}
    assert {(entry.name, entry.version, entry.hashes) for entry in WORKER} <= tested
    assert {"aiohttp", "vastai", "boto3"} <= {entry.name for entry in WORKER}


def test_an_image_has_none_of_the_tools() -> None:
    """The worker's lock has no development tools."""
    assert not {"pytest", "mypy", "uv", "moto"} & {entry.name for entry in WORKER}

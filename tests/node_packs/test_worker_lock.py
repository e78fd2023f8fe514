"""`locks/worker.lock`, which an image installs the worker's environment from."""

from __future__ import annotations

from tests.cli.terminal import ROOT
from worker.node_packs.lockfile import read_entries

WORKER = read_entries((ROOT / "locks" / "worker.lock").read_text("utf-8"))
TESTED = read_entries((ROOT / "requirements.lock").read_text("utf-8"))


def test_an_image_has_the_versions_that_are_tested() -> None:
    """Each package of the image's lock is in the lock of the tests, with the same version and the same hashes."""
    tested = {(entry.name, entry.version, entry.hashes) for entry in TESTED}
    assert {(entry.name, entry.version, entry.hashes) for entry in WORKER} <= tested
    assert {"aiohttp", "vastai", "boto3"} <= {entry.name for entry in WORKER}


def test_an_image_has_none_of_the_tools() -> None:
    """They would make it larger, and give whoever breaks in more to work with."""
    assert not {"pytest", "mypy", "uv", "moto"} & {entry.name for entry in WORKER}

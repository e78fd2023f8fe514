"""A kind of storage is one module and one line in the registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from worker.storage.kind import StorageKind
from worker.storage.registry import KINDS


def test_one_more_kind_needs_nothing_else(tmp_path: Path) -> None:
    """A new kind has a field in requests and in the OpenAPI description, and its outputs are delivered."""
    command = [sys.executable, "-m", "tests.storage.one_more_kind", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    [output] = found["stored"]["outputs"]
    assert output["url"] == (tmp_path / "mine" / output["filename"]).as_uri()
    assert (tmp_path / "mine" / output["filename"]).stat().st_size == output["bytes"]
    assert found["refused"]["error"]["code"] == "target_not_allowed"
    assert "In the share." in json.dumps(found["schema"])


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_kind_has_a_target_of_its_own(kind: StorageKind) -> None:
    """Each kind has its own class of targets."""
    assert [other.name for other in KINDS if other.target_type is kind.target_type] == [kind.name]

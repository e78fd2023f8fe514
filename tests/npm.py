"""npm packages that tests use. `ci/tools.sh` installs those that clients/typescript/package-lock.json pins."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "clients" / "typescript"
MODULES = PACKAGE / "node_modules"


def needs_npm(package: str) -> pytest.MarkDecorator:
    """Return the mark of a test that needs Node and an npm package."""
    return pytest.mark.tools("node", f"clients/typescript/node_modules/{package}")

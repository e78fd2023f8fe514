"""The clients in clients/python, imported by their paths, as by a caller that has copied one file."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.conftest import ROOT


def load_copied(name: str) -> Any:
    """Import a client by the path of its file."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "clients" / "python" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes of the module find their annotations there
    spec.loader.exec_module(module)
    return module

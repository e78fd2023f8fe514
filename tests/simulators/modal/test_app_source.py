"""What must hold in the source of the app, because Modal's Python runs it: checked without starting anything."""

from __future__ import annotations

import ast
import sys

from worker.platforms.modal.shipped_app import SHIPPED_APP

TREE = ast.parse(SHIPPED_APP.read_text("utf-8"))


def test_modals_python_needs_only_modal_and_the_standard_library() -> None:
    """The app imports no module that the image has only for the worker's own Python."""
    imported = {
        alias.name.partition(".")[0] for node in ast.walk(TREE) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").partition(".")[0] for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"modal"}


def test_every_method_is_async() -> None:
    """With a sync method, canceling one call would end the container with all its other calls."""
    methods = [
        node
        for node in ast.walk(TREE)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "modal.method()" in map(ast.unparse, node.decorator_list)
    ]
    assert len(methods) >= 3
    assert all(isinstance(node, ast.AsyncFunctionDef) for node in methods)


def test_the_limits_fit_into_those_of_modal() -> None:
    """Jobs drain before Modal kills the container, a failed call is not repeated, and no request is answered early."""
    values = {
        node.targets[0].id: node.value
        for node in TREE.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert ast.literal_eval(values["DRAIN_S"]) + 5 < 30
    options = ast.unparse(values["OPTIONS"])
    assert "'retries': 0" in options
    environment = ast.unparse(values["ENVIRONMENT"])
    assert "'WORKER_SYNC_LIMIT': '0'" in environment
    assert "str(TIMEOUT_S - 60)" in environment

"""Tests of the error tree."""

from __future__ import annotations

import ast
import builtins
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

import worker.errors
from worker.errors import (
    ClientError,
    Detail,
    Fault,
    InternalError,
    JobError,
    RequestTimeout,
    WorkerError,
    WorkerUnavailable,
    shortage_error,
)


def tree(root: type[WorkerError]) -> Iterator[type[WorkerError]]:
    for child in root.__subclasses__():
        yield child
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(WorkerError)), ids=lambda kind: kind.__name__)
def test_statuses_say_who_may_try_again(kind: type[WorkerError]) -> None:
    """An error has a 5xx status only if a retry may help."""
    if issubclass(kind, ClientError | JobError):
        assert 400 <= kind.status < 500
        assert kind.retryable == (kind is RequestTimeout)  # the same request may arrive in time
    if issubclass(kind, WorkerUnavailable):
        assert (kind.status, kind.retryable, kind.fault) == (503, True, Fault.WORKER)


def test_codes_are_unique() -> None:
    """Each error class has its own code, except the class of unexpected errors."""
    codes = [kind.code for kind in tree(WorkerError) if kind is not InternalError]
    assert len(codes) == len(set(codes)), sorted(codes)


def test_the_body_names_place_and_cure() -> None:
    """The body of an error has every field of the contract."""
    error = ClientError("no", [Detail("too large", node_id="3", input="width", suggestion="at most 8192")])
    body = error.as_dict()
    assert set(body) == {"code", "message", "fault", "retryable", "retryable_elsewhere", "details"}
    assert body["details"] == [
        {
            "message": "too large",
            "node_id": "3",
            "node_title": None,
            "class_type": None,
            "input": "width",
            "suggestion": "at most 8192",
            "expected": None,
            "comfyui_type": None,
        }
    ]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (OSError(errno.ENOSPC, "whatever it says"), "disk_full"),
        (OSError(errno.EDQUOT, "whatever it says"), "disk_full"),
        (OSError(errno.EMFILE, "whatever it says"), "exhausted"),
        (OSError(errno.ENFILE, "whatever it says"), "exhausted"),
        (OSError(errno.ENOMEM, "whatever it says"), "exhausted"),
        (MemoryError(), "exhausted"),
        (RuntimeError("can't start new thread"), "exhausted"),
    ],
)
def test_what_the_machine_has_too_little_of_is_told_from_other_failures(failure: Exception, code: str) -> None:
    """A shortage is recognized by the exception's type and number, and is retryable."""
    lacking = shortage_error(failure)
    assert lacking is not None
    assert (lacking.code, lacking.status) == (code, 503)
    assert lacking.retryable
    assert lacking.retryable_elsewhere


@pytest.mark.parametrize(
    "failure", [OSError(errno.EIO, "No space left on device"), ValueError("No space left on device"), RuntimeError("")]
)
def test_other_failures_are_no_shortage(failure: Exception) -> None:
    """The text of an exception does not make it a shortage."""
    assert shortage_error(failure) is None


WORKER = Path(worker.errors.__file__).parent.parent
STAND_ALONE = {"PacksError", "SourceError"}
"""The image's build runs worker/node_packs/pins.py and sources.py without the rest of the package."""


def outside() -> list[tuple[str, ast.Module]]:
    """Yield every module outside worker/errors, parsed, with its folder."""
    paths = (path for path in sorted(WORKER.rglob("*.py")) if path.parent != WORKER / "errors")
    return [(path.relative_to(WORKER).parts[0], ast.parse(path.read_text("utf-8"))) for path in paths]


def names(scope: object) -> set[str]:
    """Return the exceptions of a module by name."""
    return {name for name, kind in vars(scope).items() if isinstance(kind, type) and issubclass(kind, BaseException)}


SHARED = names(worker.errors)


def exceptions(modules: list[tuple[str, ast.Module]]) -> dict[str, str]:
    """Return the folder of each exception outside worker/errors."""
    classes = [(home, node) for home, tree in modules for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    known, homes = names(builtins) | SHARED, dict[str, str]()
    while more := {node.name: home for home, node in classes if node.name not in homes and known & bases(node)}:
        homes |= more
        known |= more.keys()
    return homes


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def test_an_exception_that_leaves_its_folder_is_in_worker_errors() -> None:
    """An exception outside worker/errors is used in its own folder only."""
    modules = outside()
    homes = exceptions(modules)
    assert {"UnexpectedShape", "TemplateError"} <= homes.keys()
    for folder, module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                assert not bases(node) & SHARED, f"{node.name} belongs in worker/errors"
            if isinstance(node, ast.ImportFrom):
                for name in {alias.name for alias in node.names} & homes.keys() - STAND_ALONE:
                    home = homes[name]
                    taken = (node.module or "").startswith(f"worker.{home}") and folder != home
                    assert not taken, f"worker/{folder} handles {name} of worker/{home}: move it to worker/errors"

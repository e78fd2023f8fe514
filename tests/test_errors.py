"""The error tree keeps its promises in every class."""

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
    """5xx only where another try can help; a client's or a job's fault is never 5xx."""
    if issubclass(kind, ClientError | JobError):
        assert 400 <= kind.status < 500
        assert kind.retryable == (kind is RequestTimeout)  # the same request may arrive in time
    if issubclass(kind, WorkerUnavailable):
        assert (kind.status, kind.retryable, kind.fault) == (503, True, Fault.WORKER)


def test_codes_are_unique() -> None:
    """A code names one thing. The class of unexpected errors has the root's."""
    codes = [kind.code for kind in tree(WorkerError) if kind is not InternalError]
    assert len(codes) == len(set(codes)), sorted(codes)


def test_the_body_names_place_and_cure() -> None:
    """Every field of the contract is there, filled or null."""
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
    """A shortage is recognised by the exception's type and number, and another try may help, here or elsewhere."""
    lacking = shortage_error(failure)
    assert lacking is not None
    assert (lacking.code, lacking.status) == (code, 503)
    assert lacking.retryable
    assert lacking.retryable_elsewhere


@pytest.mark.parametrize(
    "failure", [OSError(errno.EIO, "No space left on device"), ValueError("No space left on device"), RuntimeError("")]
)
def test_other_failures_are_no_shortage(failure: Exception) -> None:
    """The text of an error decides nothing, since it could come from a client."""
    assert shortage_error(failure) is None


WORKER = Path(worker.errors.__file__).parent.parent
STAND_ALONE = {"PacksError", "SourceError"}
"""The image's build runs worker/node_packs/pins.py and sources.py without the rest of the package."""


def outside() -> list[tuple[str, ast.Module]]:
    """Every module outside worker/errors, parsed, with the folder of worker/ that it is in."""
    paths = (path for path in sorted(WORKER.rglob("*.py")) if path.parent != WORKER / "errors")
    return [(path.relative_to(WORKER).parts[0], ast.parse(path.read_text("utf-8"))) for path in paths]


def names(scope: object) -> set[str]:
    """The exceptions of a module, by name."""
    return {name for name, kind in vars(scope).items() if isinstance(kind, type) and issubclass(kind, BaseException)}


SHARED = names(worker.errors)


def exceptions(modules: list[tuple[str, ast.Module]]) -> dict[str, str]:
    """The folder of each exception that is defined outside worker/errors."""
    classes = [(home, node) for home, tree in modules for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    known, homes = names(builtins) | SHARED, dict[str, str]()
    while more := {node.name: home for home, node in classes if node.name not in homes and known & bases(node)}:
        homes |= more
        known |= more.keys()
    return homes


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def test_an_exception_that_leaves_its_folder_is_in_worker_errors() -> None:
    """Elsewhere an exception is imported by its own folder alone, and extends none that others handle."""
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

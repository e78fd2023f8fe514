"""No code outside `worker/platforms/` depends on which platform it runs on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.platforms.registry import DIRECT, PLATFORMS

WORKER = Path(__file__).parents[2] / "worker"
MAY_NAME_PLATFORMS = ("platforms", "dialects", "fleet", "simulators", "prices")
"""Dialects, adapters of a platform's account, simulators and billing rules are about one platform each."""

NAMES = {platform.name for platform in PLATFORMS if platform is not DIRECT} | {"vast", "runpod", "modal"}
CLASSES = {type(platform).__name__ for platform in PLATFORMS}
ASKS_WHERE = re.compile(rf"(^|_)(behind|on|at|is|under)_({'|'.join(NAMES)})", re.IGNORECASE)
FILES = sorted(path for path in WORKER.rglob("*.py") if path.relative_to(WORKER).parts[0] not in MAY_NAME_PLATFORMS)


def branches(source: str) -> list[str]:
    """Return the conditions that depend on which platform it is, as `line: code`."""
    found = {
        (condition.lineno, ast.unparse(condition))
        for node in ast.walk(ast.parse(source))
        for condition in conditions(node)
        if isinstance(condition, ast.expr | ast.pattern) and any(map(names_platform, ast.walk(condition)))
    }
    found |= {(node.lineno, ast.unparse(node)) for node in ast.walk(ast.parse(source)) if selects_by_platform(node)}
    return [f"{line}: {code}" for line, code in sorted(found)]


def conditions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that decide which code runs next."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
            yield test
        case ast.comprehension(ifs=ifs):
            yield from ifs
        case ast.match_case(pattern=pattern, guard=guard):
            yield from (part for part in (pattern, guard) if part is not None)
        case ast.Compare() | ast.BoolOp():
            yield node


def names_platform(node: ast.AST) -> bool:
    """Return whether a node is a platform's name, a platform's class, or an attribute like `behind_vast`."""
    match node:
        case ast.Constant(value=str(text)):
            return text in NAMES
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in CLASSES or ASKS_WHERE.search(name) is not None
    return False


def selects_by_platform(node: ast.AST) -> bool:
    """Return whether a node compares, matches or looks up the platform or its name."""
    match node:
        case ast.Compare(left=left, comparators=right):
            return any(map(is_platform, (left, *right)))
        case ast.Match(subject=subject):
            return is_platform(subject)
        case ast.Subscript(slice=key) | ast.Call(func=ast.Attribute(attr="get"), args=[key, *_]):
            return is_platform(key)
    return False


def is_platform(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys")):
            return False
        case ast.Attribute(value=owner, attr="name"):
            return is_platform(owner)
        case ast.Name(id="platform") | ast.Attribute(attr="platform"):
            return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(path.relative_to(WORKER).with_suffix("").parts))
def test_no_module_asks_which_platform_it_is_on(path: Path) -> None:
    """No module outside `worker/platforms/` branches on the platform."""
    assert branches(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        'if settings.platform == "vast": pass',
        'x = 1 if name in {"vast", "vast-local"} else 2',
        "status = 422 if settings.behind_vast else 500",
        "again = settings.behind_vast and status == 500",
        "while on_runpod: pass",
        'match where:\n    case "modal": pass',
        "match settings.platform:\n    case other: pass",
        "if isinstance(place, VastLocal): pass",
        "if platform.name != other: pass",
        "serve = TABLE[settings.platform]",
        "serve = TABLE.get(platform.name)",
        'x = [job for job in jobs if job.source == "runpod"]',
    ],
)
def test_a_branch_on_the_platform_is_found(source: str) -> None:
    """Comparisons, `in`, `match`, attributes, classes and tables are found."""
    assert branches(source) != []


@pytest.mark.parametrize(
    "source",
    [
        'if sys.platform == "linux": pass',
        "if traits.output_urls: pass",
        "needed = sdk == platform.sdk",
        "if vast_endpoint: send(vast_endpoint)",
        'EXTRAS = {"vastai": "vast"}',
        "await platform.serve(settings, environ)",
    ],
)
def test_facts_and_calls_are_no_branches(source: str) -> None:
    """Uses of facts and texts for clients are not branches."""
    assert branches(source) == []

"""Tests of the architecture: the direction of imports, and the size of files and functions."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKER = ROOT / "worker"

LADDER = (
    (
        "errors",
        "settings",
        "check_finding",
        "platforms.base",
        "subcommand",
        "backoff",
        "sse",
        "supervision",
        "startup_timing",
        "delivery_options",
        "extra_data",
        "prompt_changes",
        "job",
    ),
    (
        *("model_file", "events", "bodies", "workflow", "load", "prices", "media_facts"),
        *("engine.protocol.messages", "storage.base", "connections", "gpus"),
    ),
    (
        "workflow.templates.library",
        "jobs.job_index",
        "simulators.comfyui",
        "engine",
        "fetch",
        "storage",
        "inputs",
        "models",
        "outputs",
        "handlers",
        "jobs.prompt_work",
        "jobs.state_lock",
        "jobs.state_folder",
        "jobs.journal_rows",
        "jobs.journal_file",
        "jobs.journal",
        "jobs.admission",
        "observers",
    ),
    ("pipeline", "jobs", "preflight"),
    ("dialects", "intake", "api"),
    ("app",),
    ("simulators.vast_router", "platforms", "node_packs", "fleet", "simulators"),
    (
        *("backends", "proxy", "cli.output", "cli.client.temporary_worker", "cli.client.worker_client", "mcp_server"),
        *("cli", "__main__"),
    ),
)
"""A module imports from lower rungs or, within a rung, from names to its left."""

PLATFORM_PACKAGES = {"vastai", "modal", "modal_proto", "grpclib"}
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_FOLDER_FILES = 15
SAME_NAME: dict[str, str] = {}
"""Names of classes that are defined more than once, each with the reason."""

FILES = sorted(WORKER.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def rung(module: str) -> tuple[int, int] | None:
    """Return the rung and position of a module by its longest listed name, None for the package itself."""
    name = module.removeprefix("worker").removeprefix(".")
    for length in range(name.count(".") + 1, 0, -1):
        head = ".".join(name.split(".")[:length])
        for number, names in enumerate(LADDER):
            if head in names:
                return number, names.index(head)
    return None


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down_the_ladder(path: Path) -> None:
    """A module imports only from lower rungs, or from names to its left."""
    here = rung(module_name(path))
    for name in imports(path):
        if here is None or not name.startswith("worker."):
            continue
        there = rung(name)
        assert there is not None, f"{name} stands on no rung"
        same_family = there == here
        assert same_family or there < here, f"{module_name(path)} imports {name} from above"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_platform_packages_stay_at_the_edge(path: Path) -> None:
    """Only worker.platforms and worker.simulators import the SDKs of platforms, and worker.fleet Vast's."""
    found = {name.split(".")[0] for name in imports(path)} & PLATFORM_PACKAGES
    if module_name(path).startswith("worker.simulators."):
        found = set()
    if module_name(path).startswith("worker.fleet."):
        found -= {"vastai"}
    assert not found or module_name(path).startswith("worker.platforms."), f"{path} imports {found}"


def test_every_module_stands_on_a_rung() -> None:
    """Every module has a place on the ladder."""
    assert [module_name(path) for path in FILES if rung(module_name(path)) is None] == ["worker"]


def run_time_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements that are executed, without those under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            yield from run_time_imports(child)


def test_no_import_runs_in_a_circle() -> None:
    """No imports form a cycle, not even inside functions."""
    graph: dict[str, set[str]] = {module_name(path): set() for path in FILES}
    for path in FILES:
        for node in run_time_imports(ast.parse(path.read_text("utf-8"))):
            head = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            named = {head + alias.name for alias in node.names}
            modules = {name if name in graph else head[:-1] for name in named}
            graph[module_name(path)] |= (modules & graph.keys()) - {module_name(path)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_only_settings_read_the_environment() -> None:
    """Only worker.settings reads os.environ."""
    reads = re.compile(r"\bos\.environ|from os import.*environ|getenv")
    readers = [module_name(path) for path in FILES if reads.search(path.read_text("utf-8"))]
    assert readers == ["worker.settings.environment"]


def test_only_worker_command_starts_a_module() -> None:
    """Only `worker_command` starts a module with `python -m`."""
    starters = [module_name(path) for path in FILES if re.search(r"[\"']-m[\"']", path.read_text("utf-8"))]
    assert starters == ["worker.subcommand"]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    """No file has more than 300 lines, and no function more than 40."""
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{path.name}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_has_a_docstring(path: Path) -> None:
    """Each module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} has no docstring"


def test_errors_have_one_home() -> None:
    """Every class of the WorkerError tree is defined in worker/errors."""
    bases = {
        node.name: ({ast.unparse(base).rpartition(".")[2] for base in node.bases}, module_name(path))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    tree = {"WorkerError"}
    while more := {name for name, (parents, _) in bases.items() if parents & tree} - tree:
        tree |= more
    strays = [name for name in sorted(tree) if not bases[name][1].startswith("worker.errors.")]
    assert len(tree) > 40
    assert not strays


def test_a_class_name_stands_for_one_thing() -> None:
    """No two classes of the worker have the same name, except those in SAME_NAME."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module_name(path))
    assert {name: modules for name, modules in places.items() if len(modules) > 1}.keys() == SAME_NAME.keys()


def test_folders_stay_small() -> None:
    """No folder of worker/ and tests/ has more than 15 Python files."""
    folders = Counter(path.parent for path in (*FILES, *(ROOT / "tests").rglob("*.py")) if path.name != "__init__.py")
    assert {str(folder): files for folder, files in folders.items() if files > MAX_FOLDER_FILES} == {}


TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_test_has_a_docstring(path: Path) -> None:
    """Each test has a docstring."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"

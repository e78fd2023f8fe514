"""The worker's imports agree with `pyproject.toml`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.cli.terminal import environment

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "worker").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()

EXTRAS = {
    "worker/fleet/simulation/study": "plots",
    "worker/fleet": "vast",
    "worker/mcp_server": "mcp",
    "worker/node_packs": "nodes",
    "worker/platforms/modal": "modal",
    "worker/platforms": "vast",
    "worker/simulators/modal": "modal",
    "worker/simulators/vast_account": "vast",
    "worker/simulators/vast_fleet": "vast",
    "worker/simulators/vast_router": "vast",
    "worker/storage": "s3",
}
"""The folders that may import what an extra installs; all other modules import nothing but `dependencies`."""


def normalized(requirement: str) -> str:
    """Return the name of a requirement or a distribution as packaging compares it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(requirement) for requirement in requirements}


BASE = declared(PROJECT["dependencies"])
OPTIONAL = {extra: declared(names) for extra, names in PROJECT["optional-dependencies"].items()}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level packages that a module imports when it runs; those under `TYPE_CHECKING` are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).startswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        yield from imported(node)


def third_party(path: Path) -> set[str]:
    """Return the distributions that a module imports from."""
    names = set(imported(ast.parse(path.read_text("utf-8")))) - sys.stdlib_module_names - {"worker"}
    return {normalized(DISTRIBUTIONS.get(name, [name])[0]) for name in names}


def extra_of(path: Path) -> str:
    """Return the extra that the folder of a module may use; empty: none."""
    return next((extra for folder, extra in EXTRAS.items() if path.is_relative_to(ROOT / folder)), "")


def test_every_import_is_declared() -> None:
    """A module imports only what `dependencies` or the extra of its folder installs."""
    allowed = {path: BASE | OPTIONAL.get(extra_of(path), set()) for path in FILES}
    undeclared = {str(path.relative_to(ROOT)): third_party(path) - allowed[path] for path in FILES}
    assert {name: packages for name, packages in undeclared.items() if packages} == {}


@pytest.mark.parametrize("extra", [None, *sorted(set(EXTRAS.values()))])
def test_every_declared_package_is_imported(extra: str | None) -> None:
    """Every declared package is imported."""
    used = set().union(*map(third_party, FILES))
    wanted = OPTIONAL[extra] if extra else BASE
    assert wanted - used <= {"setuptools"}, "nothing imports it; Vast's SDK needs setuptools from Python 3.12 on"


def test_every_extra_has_code_that_needs_it() -> None:
    """Every extra except `dev` belongs to a folder of the worker."""
    assert set(OPTIONAL) == {"dev", *EXTRAS.values()}


def run_without(package: str, program: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that cannot import this package."""
    hidden = f"import sys; sys.modules[{package!r}] = None\n{program}"
    command = [sys.executable, "-P", "-c", hidden]
    return subprocess.run(command, cwd=cwd, env=environment(**env), capture_output=True, text=True, check=False)


def test_a_command_names_the_extra_that_it_lacks(tmp_path: Path) -> None:
    """`deploy` without Vast's SDK prints which extra to install."""
    program = 'sys.argv[1:] = ["deploy", "status"]; from worker.cli import main; main()'
    done = run_without("vastai", program, tmp_path)
    step = "`pip install 'comfy-worker[vast]'` installs it"
    assert (done.returncode, done.stderr) == (1, f"comfy-worker: the package vastai is not installed\n  → {step}\n")


@pytest.mark.parametrize("package", ["mcp", "anyio", "starlette", "uvicorn"])
def test_the_tools_for_agents_need_the_extra_mcp(tmp_path: Path, package: str) -> None:
    """`mcp` without its SDK prints which extra to install, and nothing to standard output."""
    program = 'sys.argv[1:] = ["mcp", "--url", "http://127.0.0.1:9"]; from worker.cli import main; main()'
    done = run_without(package, program, tmp_path)
    step = "`pip install 'comfy-worker[mcp]'` installs it"
    message = f"comfy-worker: the package {package} is not installed\n  → {step}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_a_bucket_of_the_operators_needs_the_extra_s3(tmp_path: Path) -> None:
    """A worker with WORKER_S3_BUCKET does not start without boto3; one without a bucket does."""
    program = 'sys.argv[1:] = ["run", "smoke-resize"]; from worker.cli import main; main()'
    done = run_without("boto3", program, tmp_path, WORKER_S3_BUCKET="pictures")
    assert done.returncode == 1
    assert "WORKER_S3_BUCKET needs boto3: `pip install 'comfy-worker[s3]'` installs it" in done.stderr


def test_a_bucket_of_the_clients_needs_the_extra_s3(tmp_path: Path) -> None:
    """A request with a bucket is rejected before the queue if boto3 is not installed."""
    done = run_without("boto3", POST_WITH_BUCKET, tmp_path, WORKER_S3_ALLOWED_HOSTS="s3.example.com")
    assert done.stdout.startswith("422 target_not_allowed this worker cannot write to buckets"), done.stderr


POST_WITH_BUCKET = """
import asyncio
import aiohttp
from worker.app import build
from worker.settings import Settings

async def main():
    keys = {"access_key_id": "k", "secret_access_key": "s"}
    own = {"bucket": "pictures", "endpoint_url": "https://s3.example.com", **keys}
    prompt = {"1": {"class_type": "SaveImage", "inputs": {}}}
    async with build(Settings.from_env(port=0, comfyui="http://127.0.0.1:9")) as app, aiohttp.ClientSession() as http:
        async with http.post(f"{app.url}/generate", json={"workflow": prompt, "s3": own}) as answer:
            error = (await answer.json())["error"]
            print(answer.status, error["code"], error["message"])

asyncio.run(main())
"""

"""The npm package itself: its size, its types under each module resolution, its generated files, and CommonJS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from docs import make_typescript
from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import ROOT
from tests.npm import MODULES, PACKAGE

MAX_BYTES = 30_000
REGISTRY = re.compile(rb"https?://[^\s\"']*registry|\"resolved\"|registry\.[a-z0-9.-]+\.[a-z]+", re.IGNORECASE)
LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "*.lock")


def lock_files() -> list[Path]:
    """Return all lock files in the repository's index."""
    command = ["git", "ls-files", "-z", "--", *(f":(glob)**/{pattern}" for pattern in LOCKS)]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    return [ROOT / os.fsdecode(name) for name in names if name]


def test_no_lock_file_names_a_registry() -> None:
    """A lock file that names the registry of one machine cannot be installed on others."""
    files = lock_files()
    assert {PACKAGE / "package-lock.json", ROOT / "requirements.lock"} <= set(files)
    assert {
        str(path): REGISTRY.findall(path.read_bytes()) for path in files if REGISTRY.search(path.read_bytes())
    } == {}


def test_the_package_has_the_workers_version_and_no_dependencies() -> None:
    """Both are released together. Versions of tools are pinned."""
    manifest = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = json.loads((PACKAGE / "package-lock.json").read_text("utf-8"))
    assert (manifest["version"], lock["version"]) == (project["version"], project["version"])
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & manifest.keys()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in manifest["devDependencies"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_the_generated_files_are_up_to_date() -> None:
    """`make docs` writes the schemas of the API and the types of the templates."""
    assert make_typescript.SCHEMAS.read_text("utf-8") == make_typescript.schemas()
    assert make_typescript.TEMPLATES.read_text("utf-8") == make_typescript.templates()


@pytest.mark.tools(*TOOLS)
def test_the_types_of_the_api_are_up_to_date(tmp_path: Path) -> None:
    """`npm run generate` makes them from the schemas."""
    for name in ("package.json", "openapi.json"):
        shutil.copy(PACKAGE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    subprocess.run(["npm", "run", "generate"], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    generated = "src/generated/api.ts"
    assert (tmp_path / generated).read_text("utf-8") == (PACKAGE / generated).read_text("utf-8")


@pytest.mark.tools(*TOOLS)
def test_the_package_is_small(package: NpmProject) -> None:
    """The tarball has the built files only."""
    assert package.tarball.stat().st_size <= MAX_BYTES
    folder = package.folder / "node_modules" / "comfy-worker-client"
    assert {path.name for path in folder.iterdir()} == {"LICENSE", "README.md", "dist", "package.json"}


@pytest.mark.tools(*TOOLS)
@pytest.mark.parametrize("kind", ["module", "commonjs"])
@pytest.mark.parametrize(
    ("module", "resolution"), [("node16", "node16"), ("nodenext", "nodenext"), ("esnext", "bundler")]
)
def test_the_types_hold(package: NpmProject, tmp_path: Path, module: str, resolution: str, kind: str) -> None:
    """Right uses compile, and wrong ones do not, with each way to resolve modules, from ES modules and CommonJS."""
    (tmp_path / "package.json").write_text(json.dumps({"type": kind}))
    (tmp_path / "node_modules").symlink_to(package.folder / "node_modules")
    shutil.copy(PACKAGE / "types" / "usage.ts", tmp_path)
    options = ("--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom")
    done = package.tsc(*options, "--module", module, "--moduleResolution", resolution, "usage.ts", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.tools(*TOOLS)
def test_a_wrong_parameter_does_not_compile(package: NpmProject, tmp_path: Path) -> None:
    """The message names the parameter. This also shows that the compiler reads the types of the package."""
    (tmp_path / "node_modules").symlink_to(package.folder / "node_modules")
    (tmp_path / "wrong.mts").write_text(
        'import { ComfyClient } from "comfy-worker-client";\n'
        'new ComfyClient({ baseUrl: "http://a" }).template("flux-schnell", { promt: "a harbour" });\n'
    )
    options = ("--strict", "--noEmit", "--module", "nodenext", "--lib", "es2022,dom")
    done = package.tsc(*options, "wrong.mts", cwd=tmp_path)
    assert done.returncode != 0
    assert "'promt' does not exist" in done.stdout


@pytest.mark.tools(*TOOLS)
def test_commonjs_can_require_the_package(package: NpmProject, tmp_path: Path) -> None:
    """`require` and `import` give the same names."""
    (tmp_path / "node_modules").symlink_to(package.folder / "node_modules")
    (tmp_path / "both.cjs").write_text(
        'const { ComfyClient, ...others } = require("comfy-worker-client");\n'
        'new ComfyClient({ baseUrl: "http://a" });\n'
        'import("comfy-worker-client").then((module) =>\n'
        "  console.log(JSON.stringify([Object.keys(others).sort(), Object.keys(module).sort()])));\n"
    )
    done = subprocess.run(["node", "both.cjs"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    required, imported = json.loads(done.stdout)
    assert sorted([*required, "ComfyClient"]) == imported == ["ComfyClient", "ComfyError", "RunPodJobRunner"]

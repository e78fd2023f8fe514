"""The wheel, built from a source distribution without network and installed elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.cli.terminal import environment

ROOT = Path(__file__).parent.parent.parent
UV = Path(sysconfig.get_path("scripts"), "uv")
BUILT_FROM = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "worker", "workflows", "examples")
NEIGHBOURS = ("bench", "ci", "image", "locks", "monitoring", "tests")
"""Folders of the checkout that must not get into a distribution."""

OF_EXTRAS = ("boto3", "botocore", "cryptography", "requests", "urllib3", "uv", "vastai")
NOT_INSTALLED = f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS}))\n"
"""A line of a .pth file: these packages can't be imported, as where the wheel was installed without extras."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder `dist`, built from a copy of the tree without older build output."""
    tree = tmp_path_factory.mktemp("tree")
    for name in (*BUILT_FROM, *NEIGHBOURS):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree)
    subprocess.run([UV, "build", "-q", "--offline", "--no-build-isolation", "-p", sys.executable], cwd=tree, check=True)
    return tree / "dist"


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_has_the_package_and_the_templates_and_nothing_else(built: Path) -> None:
    """The wheel has modules, data files, py.typed and the templates, and nothing else."""
    wanted = {f"worker/{name}" for name in files(ROOT / "worker")}
    wanted |= {f"worker/workflows/{name}" for name in files(ROOT / "workflows")}
    wanted |= {f"worker/modal_app/{name}" for name in files(ROOT / "examples" / "modal")}
    assert {"worker/py.typed", "worker/api/docs.html", "worker/workflows/smoke-resize.toml"} <= wanted
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert {name for name in packed.namelist() if ".dist-info/" not in name} == wanted


def test_the_source_distribution_has_what_the_wheel_is_built_from(built: Path) -> None:
    """The source distribution has the templates, and no tests, benchmarks or locks."""
    [source] = built.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"setup.py", "workflows/smoke-resize.json", "worker/__init__.py"} <= names
    assert not {name.partition("/")[0] for name in names} & set(NEIGHBOURS)


def test_an_installed_worker_runs_a_template_in_an_empty_folder(built: Path, tmp_path: Path) -> None:
    """An installed worker runs a template without extras, an editable install or a checkout."""
    fresh, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    venv.create(fresh, with_pip=False, symlinks=True)
    python = fresh / "bin" / "python"
    [wheel] = built.glob("*.whl")
    subprocess.run([UV, "pip", "install", "-q", "--offline", "--no-deps", "-p", python, wheel], check=True)
    [packages] = fresh.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but its own .pth files, the editable install's, are not read.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{NOT_INSTALLED}")
    env = {name: value for name, value in environment().items() if name != "PYTHONPATH"}

    where = "import worker.workflow.templates.library as library; print(library.SHIPPED_FOLDER)"
    found = subprocess.run([python, "-P", "-c", where], cwd=empty, env=env, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == packages / "worker" / "workflows"

    command = [fresh / "bin" / "comfy-worker", "run", "smoke-resize", "--out", "pictures", "--json"]
    done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "success"
    assert list((empty / "pictures").glob("*.png"))

"""`comfy-worker modal init`: the new app, the table of what maps to what, and apps that cannot be read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, cli

OLD_APP = ROOT / "examples" / "modal-app"


def methods(path: Path, name: str) -> dict[str, str]:
    """Return the parameters of the methods of a class that have a decorator `modal.method`, as source."""
    [found] = [node for node in ast.parse(path.read_text("utf-8")).body if getattr(node, "name", "") == name]
    assert isinstance(found, ast.ClassDef)
    return {
        node.name: ast.unparse(node.args)
        for node in found.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "modal.method()" in map(ast.unparse, node.decorator_list)
    }


def test_the_new_app_keeps_names_signatures_and_options(tmp_path: Path) -> None:
    """The class has the same methods with the same parameters, and the same GPU, volumes, secrets and limits."""
    new = tmp_path / "new"
    done = cli("modal", "init", OLD_APP, "--out", new, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert methods(new / "app.py", "ComfyUI") == methods(OLD_APP / "app.py", "ComfyUI")
    text = (new / "app.py").read_text("utf-8")
    for part in ('"gpu": "L40S"', 'from_name("comfyui-models"', 'from_name("huggingface-secret")', '"timeout": 1800'):
        assert part in text
    assert "@modal.concurrent(max_inputs=4)" in text
    assert '"WORKER_JOB_TIMEOUT": "1740"' in text
    assert '"WORKER_HANDLERS_PORT": "8000"' in text
    assert (new / "handlers" / "flux.py").read_bytes() == (OLD_APP / "handlers" / "flux.py").read_bytes()
    assert "ComfyUI.generate_flux       POST /handlers/generate_flux_image" in done.stdout
    assert "ComfyUI.stop                Worker.start and Worker.stop" in done.stdout


def test_the_new_app_can_be_imported_and_all_its_methods_are_async(tmp_path: Path) -> None:
    """Modal accepts the new app. Only async methods can be canceled one by one."""
    new = tmp_path / "new"
    assert cli("modal", "init", OLD_APP, "--out", new, cwd=tmp_path).returncode == 0
    subprocess.run([sys.executable, "app.py"], cwd=new, check=True)
    nodes = ast.walk(ast.parse((new / "app.py").read_text("utf-8")))
    assert not [
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef) and "modal.method()" in map(ast.unparse, node.decorator_list)
    ]


def test_without_a_folder_the_app_is_printed(tmp_path: Path) -> None:
    """Standard output is the new app.py, the table is on standard error, and nothing is written."""
    done = cli("modal", "init", OLD_APP, cwd=tmp_path)
    assert ast.parse(done.stdout)
    assert "POST /handlers/generate_lora_image" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    """Unknown options, computed values, other methods and functions are in the table, with their lines."""
    (tmp_path / "app.py").write_text(
        "import modal, os\n"
        'app = modal.App("odd")\n'
        '@app.cls(gpu=os.environ["GPU"], retries=3)\n'
        "class Odd:\n"
        "    @modal.method()\n"
        "    def inline(self, x=1): return x\n"
        "    @modal.web_server(8000)\n"
        "    def ui(self): pass\n"
        "@app.function()\n"
        "def nightly(): pass\n"
    )
    done = cli("modal", "init", tmp_path, "--json", cwd=tmp_path)
    rows = [target for _, target in json.loads(done.stdout)["mapping"] if target.startswith("not mapped")]
    assert rows == [
        "not mapped: line 6 imports no function from handlers/, so move its code there",
        "not mapped: the option gpu: its value `os.environ['GPU']` is no constant",
        "not mapped: the option retries=3",
        "not mapped: the method `ui` (line 8) with @web_server",
        "not mapped: the function `nightly` (line 10): add it to the new app by hand",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no file with `modal.App(...)`"),
        ("import modal\napp = modal.App(name())\n", "the name of the app is no constant: name()"),
        ("import modal\napp = modal.App(\n", "is not valid Python: line 2"),
    ],
)
def test_an_app_that_cannot_be_read_is_an_error(source: str, message: str, tmp_path: Path) -> None:
    """The message names the file and the reason, and nothing is written."""
    (tmp_path / "app.py").write_text(source)
    done = cli("modal", "init", tmp_path, "--out", tmp_path / "new", cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "new").exists()


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    """`--out` has to be a new folder."""
    done = cli("modal", "init", OLD_APP, "--out", tmp_path, cwd=tmp_path)
    assert (done.returncode, "exists already: name a new folder with --out" in done.stderr) == (1, True)

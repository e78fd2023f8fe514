"""The module that stands in for an app's utilities, and the environment of an app."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from docs.make_pricing import FILE, with_prices
from tests.cli.terminal import cli
from tests.handlers.apps import write_app
from worker.errors import StartupError
from worker.handlers import app_side, comfy_compat
from worker.handlers.installation import install
from worker.prices.price_file import shipped_prices


def test_the_prices_are_those_of_the_price_table() -> None:
    """The block of prices is up to date: `make docs` writes it."""
    assert with_prices(FILE.read_text("utf-8")) == FILE.read_text("utf-8")


@pytest.mark.parametrize(("platform", "gpu"), [("modal", "L40S"), ("modal", "A100-80GB"), ("runpod", "RTX 4090")])
def test_costs_come_from_the_prices_of_the_platform(platform: str, gpu: str) -> None:
    """Half an hour costs half of the hourly price."""
    costs = comfy_compat.CostTracker(platform)
    usd_hour = shipped_prices().gpu(platform, gpu).usd_hour
    assert costs.calculate_cost(gpu, 1800) == pytest.approx(usd_hour / 2, rel=1e-3)
    with pytest.raises(KeyError, match="no price of GTX on"):
        costs.calculate_cost("GTX", 1)


def test_a_measured_call_is_added_up() -> None:
    """The seconds and the dollars of a call are known after its block."""
    costs = comfy_compat.CostTracker()
    with costs.measure("H100") as call:
        pass
    assert call.usd == costs.calculate_cost("H100", call.seconds) == costs.total_usd


def test_images_become_base64_and_back(tmp_path: Path) -> None:
    """Files, bytes and images are encoded, and a data URL is decoded."""
    image = Image.new("RGB", (5, 4), "red")
    image.save(tmp_path / "red.png")
    text = comfy_compat.encode_image_to_base64(image)
    data = (tmp_path / "red.png").read_bytes()
    assert comfy_compat.encode_image_to_base64(tmp_path / "red.png") == comfy_compat.encode_image_to_base64(data)
    assert comfy_compat.decode_base64_to_image(f"data:image/png;base64,{text}").getpixel((0, 0)) == (255, 0, 0)


SCRIPTS = [Path(comfy_compat.__file__), *sorted(Path(app_side.__file__).parent.glob("*.py"))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_scripts_need_only_the_standard_library(path: Path) -> None:
    """These files run where the worker is not installed, with Python 3.10."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 10))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).startswith("TYPE_CHECKING"):
            node.body = []  # not where they run
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    beside = {other.stem for other in path.parent.glob("*.py")} if path.parent.name == "app_side" else {"PIL"}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names <= beside


def test_an_app_gets_its_environment(tmp_path: Path) -> None:
    """`handlers install` makes `.venv` with the requirements of the app, here a package in a folder."""
    app, package = write_app(tmp_path / "app"), tmp_path / "package"
    package.mkdir()
    (app / "requirements.txt").write_text("")
    done = cli("handlers", "install", "app", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    python = json.loads(done.stdout)["python"]
    assert python == str(app / ".venv" / "bin" / "python")
    prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True)
    assert prefix.strip() == str(app / ".venv")
    assert install(app, "/missing/python") == Path(python)  # it is there already


def test_a_failed_installation_is_explained(tmp_path: Path) -> None:
    """A requirement that cannot be installed, and a folder that is no app, are errors with the reason."""
    app = write_app(tmp_path / "app")
    (app / "requirements.txt").write_text("./missing-folder\n")
    with pytest.raises(StartupError, match="missing-folder"):
        install(app, sys.executable)
    with pytest.raises(StartupError, match="no folder `handlers`"):
        install(tmp_path, sys.executable)
    done = cli("handlers", "install", "nothing", cwd=tmp_path)
    assert (done.returncode, "no folder `handlers`" in done.stderr) == (1, True)

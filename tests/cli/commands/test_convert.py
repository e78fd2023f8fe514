"""`comfy-worker convert`, and the editor's format in `comfy-worker run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands.test_run import sizes, written
from tests.cli.terminal import cli
from tests.engines import EngineHandle
from tests.workflows import drawn, picture


def test_convert_prints_the_prompt(tmp_path: Path) -> None:
    """Standard output has the prompt alone, as indented JSON."""
    done = cli("convert", written(tmp_path, drawn(96, 48)), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{\n  "1": {\n    "class_type": "EmptyImage"')
    assert json.loads(done.stdout)["1"]["inputs"]["width"] == 96


def test_numbers_are_written_as_in_javascript(tmp_path: Path) -> None:
    """A seed that does not fit a double is rounded as in the browser."""
    workflow = {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": [2**64 - 1, "fixed"]}], "links": []}
    done = cli("convert", written(tmp_path, workflow), cwd=tmp_path)
    assert '"seed": 18446744073709552000,' in done.stdout


def test_catalog_option_replaces_the_bundled_classes(tmp_path: Path) -> None:
    """The classes are those of the --catalog files, which are merged."""
    for name in ("One", "Two"):
        info = {name: {"input": {"required": {"text": ["STRING", {}]}}, "output": []}}
        (tmp_path / f"{name}.json").write_text(json.dumps(info))
    nodes = [{"id": number, "type": name, "widgets_values": [name]} for number, name in enumerate(("One", "Two"))]
    path = written(tmp_path, {"nodes": nodes, "links": []})
    catalogs = ("--catalog", tmp_path / "One.json", "--catalog", tmp_path / "Two.json")
    done = cli("convert", path, *catalogs, cwd=tmp_path)
    assert {node["inputs"]["text"] for node in json.loads(done.stdout).values()} == {"One", "Two"}
    done = cli("convert", path, *catalogs[:2], cwd=tmp_path)
    assert done.returncode == 1
    assert "node 1 Two" in done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON: "),
        (b"\x89PNG\r\n\x1a\n", "has no workflow"),
        (b"[]", "not a JSON object"),
        (b'{"nodes": [{"id": 7, "type": "SaveImagge"}], "links": []}', "Did you mean 'SaveImage'?"),
    ],
)
def test_a_file_that_cannot_be_converted_exits_with_1(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that cannot be converted prints the reason on standard error and nothing on standard output."""
    (tmp_path / "file").write_bytes(content)
    done = cli("convert", "file", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr


def test_a_missing_file_exits_with_2(tmp_path: Path) -> None:
    """A missing file and a file that is not a catalog exit with code 2."""
    assert cli("convert", "missing.json", cwd=tmp_path).returncode == 2
    path = written(tmp_path, drawn())
    (tmp_path / "catalog.json").write_text("[]")
    assert cli("convert", path, "--catalog", "catalog.json", cwd=tmp_path).returncode == 2


def test_run_accepts_the_editors_format(engine: EngineHandle, tmp_path: Path) -> None:
    """`run` accepts an editor workflow, with and without --set, and the image that it made of one."""
    path = written(tmp_path, drawn(96, 48))
    assert cli("run", path, cwd=tmp_path, WORKER_COMFYUI=engine.url).returncode == 0
    assert sizes(tmp_path / "out") == [(96, 48)]
    changed = cli("run", path, "--set", "1.height=40", "--out", "b", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert changed.returncode == 0, changed.stderr
    (made,) = (tmp_path / "b").iterdir()
    assert sizes(tmp_path / "b") == [(96, 40)]
    again = cli("run", made, "--set", "1.width=32", "--out", "c", cwd=tmp_path, WORKER_COMFYUI=engine.url)
    assert again.returncode == 0, again.stderr
    assert sizes(tmp_path / "c") == [(32, 40)]


def test_an_api_prompt_is_not_changed(tmp_path: Path) -> None:
    """`convert` prints an API prompt as it is."""
    workflow = picture()
    assert json.loads(cli("convert", written(tmp_path, workflow), cwd=tmp_path).stdout) == workflow

"""`comfy-worker convert`, and the editor's format in `comfy-worker run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands.test_run import sizes, written
from tests.cli.terminal import cli
from tests.engines import EngineHandle
from tests.workflows import drawn, picture


def test_the_prompt_alone_is_printed(tmp_path: Path) -> None:
    """On standard output, in lines that a person can read."""
    done = cli("convert", written(tmp_path, drawn(96, 48)), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{\n  "1": {\n    "class_type": "EmptyImage"')
    assert json.loads(done.stdout)["1"]["inputs"]["width"] == 96


def test_numbers_are_written_as_javascript_writes_them(tmp_path: Path) -> None:
    """A seed that no double holds is what the browser makes of it."""
    workflow = {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": [2**64 - 1, "fixed"]}], "links": []}
    done = cli("convert", written(tmp_path, workflow), cwd=tmp_path)
    assert '"seed": 18446744073709552000,' in done.stdout


def test_a_catalog_of_ones_own(tmp_path: Path) -> None:
    """Classes come from it alone; several files count as one."""
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
def test_refusals_are_exit_code_1(tmp_path: Path, content: bytes, reason: str) -> None:
    """Why is said on standard error; nothing is on standard output."""
    (tmp_path / "file").write_bytes(content)
    done = cli("convert", "file", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    """A file that isn't there, a catalog that is none."""
    assert cli("convert", "missing.json", cwd=tmp_path).returncode == 2
    path = written(tmp_path, drawn())
    (tmp_path / "catalog.json").write_text("[]")
    assert cli("convert", path, "--catalog", "catalog.json", cwd=tmp_path).returncode == 2


def test_run_takes_the_editors_format(engine: EngineHandle, tmp_path: Path) -> None:
    """As it is saved, and with inputs set; and the picture it made is a workflow again."""
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


def test_a_prompt_is_printed_as_it_is(tmp_path: Path) -> None:
    """What needs no conversion."""
    workflow = picture()
    assert json.loads(cli("convert", written(tmp_path, workflow), cwd=tmp_path).stdout) == workflow

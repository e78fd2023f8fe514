"""Outputs of jobs from what nodes report, limited to files inside ComfyUI's folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from worker.engine.protocol.api import ComfyApi, FileRef
from worker.errors import OutputNotAllowed
from worker.job import EngineFile, Job, JobRequest, Output
from worker.outputs.files import Outputs, OutputSource
from worker.outputs.kinds import kind_of
from worker.outputs.output_collector import OutputCollector, without_previews
from worker.outputs.overwriting import may_be_overwritten
from worker.outputs.reports import NodeOutput, ReportedText, node_outputs


def test_files_are_found_under_any_key() -> None:
    """node_outputs finds an object with a `filename` under any key."""
    output = {
        "gifs": [{"filename": "a.mp4", "subfolder": "s", "type": "output", "fps": 8}],
        "animated": [True],
        "text": ["hello"],
        "broken": [{"filename": ""}, None, 3],
        "number": 7,
    }
    assert list(node_outputs("5", output)) == [
        NodeOutput("5", "gifs", FileRef("a.mp4", "s", "output")),
        NodeOutput("5", "text", ReportedText("hello")),
    ]


@pytest.mark.parametrize(
    ("reported", "texts"),
    [
        (["b", "a long one", "b"], ["b", "a long one", "b"]),
        (list("a text\n"), ["a text\n"]),
        (["a"], ["a"]),
        (["", "a"], ["", "a"]),
        ([], []),
        ("text", []),
    ],
)
def test_texts_are_unchanged(reported: object, texts: list[str]) -> None:
    """node_outputs keeps order and duplicates of texts, and joins a list of single letters."""
    found = list(node_outputs("5", {"text": reported}))
    assert [report.item.text for report in found if isinstance(report.item, ReportedText)] == texts
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "image"),
        ("a.webm", "video"),
        ("a.flac", "audio"),
        ("a.glb", "3d"),
        ("a.latent", "latent"),
        ("a", "file"),
    ],
)
def test_kinds_go_by_the_extension(name: str, kind: str) -> None:
    """kind_of decides by the extension, because ComfyUI reports videos under `images`."""
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("filename", "subfolder"), [("secret.txt", ".."), ("../secret.txt", ""), ("link.txt", ""), ("x.png", "/etc")]
)
async def test_nothing_outside_the_folder_is_collected(tmp_path: Path, filename: str, subfolder: str) -> None:
    """A reported path or symbolic link that leads out of the output folder is refused."""
    shared = tmp_path / "output"
    shared.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (shared / "link.txt").symlink_to(tmp_path / "secret.txt")
    async with aiohttp.ClientSession() as session:
        outputs = Outputs(
            {"engine-0": OutputSource(ComfyApi(session, "http://127.0.0.1:9"), shared)}, tmp_path / "jobs"
        )
        report = NodeOutput("1", "images", FileRef(filename, subfolder, "output"))
        with pytest.raises(OutputNotAllowed):
            await outputs.store_item(Job("a", JobRequest(prompt={})), 0, report)


async def test_a_file_is_linked_not_copied(tmp_path: Path) -> None:
    """Outputs.store_item hard-links the file, and returns its size and hash."""
    shared = tmp_path / "output"
    (shared / "sub").mkdir(parents=True)
    (shared / "sub" / "a_00002_.bin").write_bytes(b"abc")
    async with aiohttp.ClientSession() as session:
        outputs = Outputs(
            {"engine-0": OutputSource(ComfyApi(session, "http://127.0.0.1:9"), shared)}, tmp_path / "jobs"
        )
        job = Job("a", JobRequest(prompt={}))
        output = await outputs.store_item(job, 0, NodeOutput("1", "files", FileRef("a_00002_.bin", "sub", "output")))
        assert outputs.path(job, output).samefile(shared / "sub" / "a_00002_.bin")
    assert (output.size, output.sha256[:8]) == (3, "ba7816bf")


async def test_a_file_under_two_keys_is_one_output(tmp_path: Path) -> None:
    """A file that a node reports under two keys is one output."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "a.bin").write_bytes(b"data")
    file = {"filename": "a.bin", "subfolder": "", "type": "output"}
    reported = {"images": [file], "a_images": [file]}
    async with aiohttp.ClientSession() as session:
        source = OutputSource(ComfyApi(session, "http://127.0.0.1:9"), tmp_path / "output")
        outputs = Outputs({"engine-0": source}, tmp_path / "jobs")
        collector = OutputCollector(outputs, Job("job-1", JobRequest(prompt={})), lambda output: None)
        collector.node_finished("5", reported)
        [output] = (await collector.finish({"5": reported})).outputs
    assert (output.filename, output.size) == ("a.bin", 4)


@pytest.mark.parametrize(
    ("filename", "prefix", "expected"),
    [
        ("a_00002_.png", "a", False),
        ("a_00001_.png", "sub/a", False),
        ("a_00001-audio.mp4", "a", False),
        ("a_00002_.png", "a/", True),
        ("_00001_.png", "", True),
        ("a_00007_.png", "%date%", True),
        ("a.png", "a", True),
        ("a_00001_.png", ["3", 0], True),
        ("a_00002_.png", ["3", 0], False),
    ],
)
def test_names_that_may_be_overwritten(filename: str, prefix: object, expected: bool) -> None:
    """may_be_overwritten returns False for names with a counter, unless ComfyUI starts at 1 each time."""
    prompt = {"5": {"class_type": "SaveImage", "inputs": {"filename_prefix": prefix}}}
    assert may_be_overwritten(Job("a", JobRequest(prompt=prompt)), "5", filename) is expected


def test_previews_are_dropped_if_a_rerun_saves_a_file() -> None:
    """without_previews drops previews if the second run saved a file, and keeps texts."""
    preview, text = Output(0, "1", "image", "a.png", folder="temp"), Output(1, "2", "text", "", text="x")
    saved = Output(2, "3", "model", "b.safetensors")
    assert without_previews((preview, text), (saved,)) == (text,)
    assert without_previews((preview, text), (replace(preview, index=2),)) == (preview, text)


async def test_other_files_of_a_job_count_in_its_size(tmp_path: Path) -> None:
    """Outputs.size includes files that are not outputs, and remove deletes them."""
    shared = tmp_path / "output"
    shared.mkdir()
    for name in ("a_00002-audio.mp4", "a_00002.mp4"):
        (shared / name).write_bytes(b"x" * 1000)
    async with aiohttp.ClientSession() as session:
        source = OutputSource(ComfyApi(session, "http://127.0.0.1:9"), shared, starts_engine=True)
        outputs, job = Outputs({"engine-0": source}, tmp_path / "jobs"), Job("a", JobRequest(prompt={}))
        report = NodeOutput("1", "gifs", FileRef("a_00002-audio.mp4"))
        job.outputs = (await outputs.store_item(job, 0, report),)
        paths = [(path, path.stat()) for path in shared.iterdir()]
        job.files = tuple(
            EngineFile("output", path.name, found.st_ino, found.st_mtime_ns, found.st_size) for path, found in paths
        )
        assert outputs.size(job) == 2000
        await outputs.remove(job)
    assert list(shared.iterdir()) == []

"""Which node wrote a file that none has reported, by what was heard of the run."""

from __future__ import annotations

import time
from pathlib import Path

from worker.engine.protocol.api import FileRef
from worker.job import EngineFile
from worker.outputs.node_log import FileOwner, NodeLog
from worker.outputs.reports import NodeOutput
from worker.outputs.written_files import FoundFile

OUTPUTS = {"3", "5"}


def log(**started: float) -> NodeLog:
    """Nodes by id with a leading n, and when each was heard to start; 3 and 5 are output nodes."""
    return NodeLog(OUTPUTS.__contains__, [(at, name[1:]) for name, at in started.items()])


def file(at: float, path: str = "a.png", folder: str = "output") -> FoundFile:
    return FoundFile(Path("/comfyui") / folder / path, EngineFile(folder, path, 1, 1, 1), at)


def test_the_output_node_that_ran_then_wrote_it() -> None:
    """Also where its frame was heard a little late."""
    found = log(n1=1000, n3=2000, n4=3000)
    assert found.owner(file(2500)) == FileOwner("3", "files", certain=True)
    assert found.owner(file(1995)) == FileOwner("3", "files", certain=True)


def test_what_lies_beside_reported_files_is_no_output() -> None:
    """The companions of a video."""
    found = log(n1=1000, n3=2000)
    found.record_report(NodeOutput("3", "gifs", FileRef("a.mp4")))
    assert found.owner(file(2500)) is None
    assert found.owner(file(2000)) is None


def test_a_companion_is_known_by_its_name_where_the_frame_came_late() -> None:
    """The picture beside the video, written before it was heard that its node runs."""
    found = log(n1=1000, n3=2000)
    found.record_report(NodeOutput("3", "gifs", FileRef("a_00001-audio.mp4")))
    assert found.owner(file(1900, "a_00001.png")) is None
    assert found.owner(file(1900, "b_00001.png")) == FileOwner("1", "files", certain=False)


def test_a_later_file_of_an_output_node_is_less_sure() -> None:
    """A thread of it may have written while another node ran."""
    assert log(n3=1000, n4=2000).owner(file(2500)) == FileOwner("3", "files", certain=False)


def test_a_node_in_the_middle_may_write_into_the_output_folder() -> None:
    """What it leaves in the temp folder is its own business."""
    found = log(n1=1000, n2=2000)
    assert found.owner(file(1500)) == FileOwner("1", "files", certain=False)
    assert found.owner(file(1500, folder="temp")) is None


def test_a_path_in_a_text_names_its_node() -> None:
    """Relative to the folder, with the folder, or absolute; whatever ran then."""
    for text in ("sub/a.png", "output/sub/a.png", "/comfyui/output/sub/a.png", "sub\\a.png [output]"):
        found = log(n1=1000, n3=2000)
        found.reported["3"] = {"result": [{"path": text}]}
        assert found.owner(file(1500, "sub/a.png")) == FileOwner("3", "result", certain=True)


def test_without_frames_an_output_node_that_reported_nothing_has_it() -> None:
    """Nothing is known of when each node ran."""
    found = log(n1=1000, n3=1000, n4=1000)
    found.times_unknown = True
    assert found.owner(file(9000)) == FileOwner("3", "files", certain=False)
    found.record_report(NodeOutput("3", "images", FileRef("b.png")))
    assert found.owner(file(9000)) is None


def test_cached_nodes_write_nothing() -> None:
    """They are neither running nor owing."""
    found = log(n3=1000, n5=2000)
    found.cached = {"3"}
    assert found.without_files == ["5"]


def test_thousands_of_named_files_are_told_apart_at_once() -> None:
    """The reports are read once for all of them: the worker does nothing else meanwhile."""
    found = log(n3=1000)
    names = [f"{number}.png" for number in range(5000)]
    found.reported["3"] = {"paths": names}
    began = time.process_time()
    owners = [owner for _, owner in found.owners(file(500, name) for name in names)]
    assert owners == [FileOwner("3", "paths", certain=True)] * 5000
    assert time.process_time() - began < 2

"""Attribution of unreported files to nodes by the log of a run."""

from __future__ import annotations

import time
from pathlib import Path

from worker.engine.protocol.api import FileRef
from worker.job import EngineFile
from worker.outputs.known_folder import FoundFile
from worker.outputs.node_log import FileOwner, NodeLog
from worker.outputs.reports import NodeOutput

OUTPUTS = {"3", "5"}


def log(**started: float) -> NodeLog:
    """Return a log with the start of each node in keywords with a leading n. Nodes 3 and 5 are output nodes."""
    return NodeLog(OUTPUTS.__contains__, [(at, name[1:]) for name, at in started.items()])


def file(at: float, path: str = "a.png", folder: str = "output") -> FoundFile:
    return FoundFile(Path("/comfyui") / folder / path, EngineFile(folder, path, 1, 1, 1), at)


def test_a_file_belongs_to_the_output_node_that_ran() -> None:
    """owner returns the output node that ran at the file's time, also if its frame arrived a little late."""
    run_log = log(n1=1000, n3=2000, n4=3000)
    assert run_log.owner(file(2500)) == FileOwner("3", "files", certain=True)
    assert run_log.owner(file(1995)) == FileOwner("3", "files", certain=True)


def test_a_companion_of_a_reported_file_is_not_an_output() -> None:
    """owner returns None for another file of a node that has reported files."""
    run_log = log(n1=1000, n3=2000)
    run_log.record_report(NodeOutput("3", "gifs", FileRef("a.mp4")))
    assert run_log.owner(file(2500)) is None
    assert run_log.owner(file(2000)) is None


def test_a_companion_is_recognised_by_its_name() -> None:
    """owner returns None for a file with the name of a reported one, if the frame of its node arrived late."""
    run_log = log(n1=1000, n3=2000)
    run_log.record_report(NodeOutput("3", "gifs", FileRef("a_00001-audio.mp4")))
    assert run_log.owner(file(1900, "a_00001.png")) is None
    assert run_log.owner(file(1900, "b_00001.png")) == FileOwner("1", "files", certain=False)


def test_a_later_file_of_an_output_node_is_uncertain() -> None:
    """owner returns an uncertain result for a file written while another node ran."""
    assert log(n3=1000, n4=2000).owner(file(2500)) == FileOwner("3", "files", certain=False)


def test_other_nodes_may_write_to_the_output_folder() -> None:
    """owner returns a node that is not an output node for a file in the output folder, and None in the temp folder."""
    run_log = log(n1=1000, n2=2000)
    assert run_log.owner(file(1500)) == FileOwner("1", "files", certain=False)
    assert run_log.owner(file(1500, folder="temp")) is None


def test_a_path_in_a_text_names_its_node() -> None:
    """owner returns the node that reported the path as text: relative, with the folder, or absolute."""
    for text in ("sub/a.png", "output/sub/a.png", "/comfyui/output/sub/a.png", "sub\\a.png [output]"):
        run_log = log(n1=1000, n3=2000)
        run_log.reports["3"] = {"result": [{"path": text}]}
        assert run_log.owner(file(1500, "sub/a.png")) == FileOwner("3", "result", certain=True)


def test_without_frames_a_file_belongs_to_the_node_without_files() -> None:
    """owner returns the last output node without files if the frames of the run were lost."""
    run_log = log(n1=1000, n3=1000, n4=1000)
    run_log.times_unknown = True
    assert run_log.owner(file(9000)) == FileOwner("3", "files", certain=False)
    run_log.record_report(NodeOutput("3", "images", FileRef("b.png")))
    assert run_log.owner(file(9000)) is None


def test_cached_nodes_write_nothing() -> None:
    """Cached nodes are neither in `executed` nor in `nodes_without_files`."""
    run_log = log(n3=1000, n5=2000)
    run_log.cached_nodes = {"3"}
    assert run_log.nodes_without_files == ["5"]


def test_thousands_of_named_files_are_attributed_quickly() -> None:
    """owners reads the reports once for all files."""
    run_log = log(n3=1000)
    names = [f"{number}.png" for number in range(5000)]
    run_log.reports["3"] = {"paths": names}
    began = time.process_time()
    owners = [owner for _, owner in run_log.owners(file(500, name) for name in names)]
    assert owners == [FileOwner("3", "paths", certain=True)] * 5000
    assert time.process_time() - began < 2

"""The names by which a client knows the files of its prompts."""

from __future__ import annotations

from worker.api.comfy.client_prompts import CallerPrompts, ClientPrompt
from worker.api.comfy.frames import PromptFrames
from worker.engine.protocol.api import FileRef
from worker.job import Job, JobRequest

IMAGE = {"filename": "a_00001_.png", "subfolder": "", "type": "output"}
REPORT = {"images": [IMAGE], "animated": [True], "text": ["a_00001_.png"]}


def prompt(job_id: str, engine: str) -> ClientPrompt:
    """Return a prompt that runs on an engine."""
    job = Job(job_id, JobRequest(prompt={}))
    job.engine = engine
    return ClientPrompt(job, 0, (), PromptFrames(job_id, {}))


def shown(caller: CallerPrompts, of: ClientPrompt, *, cached: bool = False) -> dict[str, object]:
    """Return the file of the report as the client is shown it."""
    report = caller.shown_report(of, REPORT, cached=cached)
    assert {key: report[key] for key in ("animated", "text")} == {"animated": [True], "text": ["a_00001_.png"]}
    return report["images"][0]


def test_a_file_has_comfyuis_name() -> None:
    """The first prompt with a name shows it as it is, also when it reports the file again."""
    caller, first = CallerPrompts(), prompt("one", "engine-0")
    assert shown(caller, first) == IMAGE
    assert shown(caller, first) == IMAGE


def test_two_engines_may_use_one_name() -> None:
    """The second prompt shows its own file in a subfolder with its id, and both are found."""
    caller, first, second = CallerPrompts(), prompt("one", "engine-0"), prompt("two", "engine-1")
    shown(caller, first)
    assert shown(caller, second) == {**IMAGE, "subfolder": "two"}
    assert caller.by_file[FileRef("a_00001_.png", "", "output")] is first
    assert caller.by_file[FileRef("a_00001_.png", "two", "output")] is second
    assert second.files[FileRef("a_00001_.png", "two", "output")] == FileRef("a_00001_.png", "", "output")


def test_a_cached_result_keeps_its_name() -> None:
    """On the same engine, a cached result is the same file. On another engine, it is another one."""
    caller, first = CallerPrompts(), prompt("one", "engine-0")
    shown(caller, first)
    assert shown(caller, prompt("two", "engine-0"), cached=True) == IMAGE
    assert shown(caller, prompt("three", "engine-1"), cached=True) == {**IMAGE, "subfolder": "three"}


def test_a_removed_prompt_frees_its_names() -> None:
    """After a prompt was removed, the next one shows ComfyUI's name."""
    caller, first = CallerPrompts(), prompt("one", "engine-0")
    caller.add(first)
    shown(caller, first)
    caller.remove(first)
    assert (caller.by_id, caller.active, caller.by_file) == ({}, {}, {})
    assert shown(caller, prompt("two", "engine-1")) == IMAGE

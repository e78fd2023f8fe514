"""Names that differ between recording and replay: ids, temp files, file tags and prompt numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from tests.conformance.recorded.transcript import BinaryFrame, Frame, RecordedRequest, RecordedResponse, TextFrame
from worker.workflow.json_value import Json, JsonObject

TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}")
RECORDED_HOST = "127.0.0.1:18191"
LEARNED_HEADERS = ("etag", "last-modified")


class ReplayNames:
    """The replay's names of recorded ids, files and numbers. They are learned while the replay runs.

    `replayed` translates a recorded text for comparison. `requested` translates a text of a request, and also replaces
    names of output files, which are compared under their recorded names.
    """

    def __init__(self, host: str) -> None:
        self._pairs = {RECORDED_HOST: host}
        self._files: dict[str, str] = {}
        self._base: tuple[int, int] | None = None

    def learn(self, recorded: str, replayed: str) -> None:
        """Store the replay's name of a recorded name."""
        if recorded != replayed:
            self._pairs.setdefault(recorded, replayed)

    def replayed(self, text: str) -> str:
        """Return a recorded text with the names of the replay."""
        return _replace(self._pairs, text)

    def prompt(self, recorded: str) -> str:
        """Return the replay's id of a recorded prompt."""
        return self._pairs.get(recorded, recorded)

    def requested(self, text: str) -> str:
        """Return a recorded text of a request with the names of the replay, including output files."""
        return _replace(self._pairs | self._files, text)

    def replayed_json(self, value: Json) -> Json:
        parsed: Json = orjson.loads(self.replayed(orjson.dumps(value).decode()))
        return parsed

    def number(self, recorded: Json) -> Json:
        """Return the replay's number of a prompt.

        Numbers that a client chose are floats and are not changed, nor are small numbers after a restart.
        """
        if self._base is None or not isinstance(recorded, int) or isinstance(recorded, bool):
            return recorded
        old, new = self._base
        if abs(recorded) < old:
            return recorded
        return recorded + (old - new if recorded < 0 else new - old)

    def learn_response(self, request: RecordedRequest, recorded: RecordedResponse, replayed: RecordedResponse) -> None:
        """Learn the id and number of an accepted prompt, and the headers of a file, from two responses."""
        for header in LEARNED_HEADERS:
            if header in recorded.headers and header in replayed.headers:
                self.learn(recorded.headers[header], replayed.headers[header])
        if request.posts_prompt and recorded.is_json and replayed.is_json:
            self._learn_prompt(recorded.body.json, replayed.body.json)

    def learn_frame(self, recorded: Frame, replayed: Frame) -> None:
        """Learn the session id and file names from two corresponding frames."""
        if isinstance(recorded, BinaryFrame) or isinstance(replayed, BinaryFrame):
            return
        if recorded.kind == "status":
            self.learn(str(recorded.data.get("sid")), str(replayed.data.get("sid")))
        elif recorded.kind == "executed":
            for old, new in zip(_files(recorded.data["output"]), _files(replayed.data["output"]), strict=False):
                self._learn_file(old, new)

    def _learn_file(self, recorded: str, replayed: str) -> None:
        old, new = TEMP_NAME.match(recorded), TEMP_NAME.match(replayed)
        if old and new:
            self.learn(old[0], new[0])
        elif recorded != replayed:
            self._files[recorded] = replayed

    def _learn_prompt(self, recorded: Json, replayed: Json) -> None:
        if not (isinstance(recorded, dict) and isinstance(replayed, dict) and "prompt_id" in recorded):
            return
        self.learn(str(recorded["prompt_id"]), str(replayed.get("prompt_id")))
        old, new = recorded["number"], replayed.get("number")
        if self._base is None and isinstance(old, int) and isinstance(new, int):
            self._base = (old, new)


def prompt_of(frame: Frame) -> str:
    """The prompt a frame names, or nothing."""
    data: JsonObject = frame.data if isinstance(frame, TextFrame) else frame.metadata
    return str(data.get("prompt_id", ""))


def _replace(pairs: dict[str, str], text: str) -> str:
    pattern = "|".join(map(re.escape, sorted(pairs, key=len, reverse=True)))
    return re.sub(pattern, lambda match: pairs[match[0]], text)


def _files(value: Json) -> Iterator[str]:
    """Yield the file names in a node's output."""
    if isinstance(value, dict):
        if isinstance(value.get("filename"), str):
            yield str(value["filename"])
        else:
            for child in value.values():
                yield from _files(child)
    elif isinstance(value, list):
        for child in value:
            yield from _files(child)

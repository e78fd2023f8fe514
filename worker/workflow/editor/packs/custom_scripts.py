"""pysssss (Custom Scripts): choices that carry a picture, and texts that are kept in the browser."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.live import BrowserNode
from worker.workflow.editor.packs.pack import Pack, Sending

_CHOICES = {"LoraLoader|pysssss": "lora_name", "CheckpointLoader|pysssss": "ckpt_name"}
_IN_THE_BROWSER = "its text is kept in the browser and not in the file"


def send(sending: Sending) -> None:
    """Send the file's name of a choice, without its picture."""
    name = _CHOICES.get(sending.node.type, "")
    value = sending.inputs.get(name) if name else None
    if isinstance(value, dict) and "content" in value:
        sending.inputs[name] = value["content"]


CUSTOM_SCRIPTS: Final = Pack(
    "pysssss", browser_nodes={"PresetText|pysssss": BrowserNode(refused=_IN_THE_BROWSER)}, send=send
)

"""Sounds as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Sound, Trace
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.folders import SaveSlots, temp_prefix
from worker.simulators.comfyui.media.flac import write_flac
from worker.simulators.comfyui.media.silence import write_mp3, write_opus
from worker.simulators.comfyui.node_functions.saving import chosen, comment, place


def load_audio(call: NodeCall) -> Result:
    """A stand-in of one second."""
    return Result((Sound(1.0, trace=Trace(text=call.text("audio"))),))


def save_audio(call: NodeCall) -> Result:
    return _save_audio(call, "flac")


def save_audio_mp3(call: NodeCall) -> Result:
    return _save_audio(call, "mp3")


def save_audio_opus(call: NodeCall) -> Result:
    return _save_audio(call, "opus")


def save_audio_as(call: NodeCall) -> Result:
    """In the format that the widget says."""
    return _save_audio(call, chosen(call, "format", tuple(WRITERS)))


def preview_audio(call: NodeCall) -> Result:
    sound = coerce.sound(call.inputs.get("audio"))
    return _write_audio(sound, "flac", call.site.folders.place(temp_prefix(), "temp"))


def _save_audio(call: NodeCall, kind: str) -> Result:
    sound = coerce.sound(call.inputs.get("audio"))
    return _write_audio(sound, kind, place(call, call.text("filename_prefix", "audio/ComfyUI")))


def _write_audio(sound: Sound, kind: str, slots: SaveSlots) -> Result:
    path, saved = slots.next(kind, tail="")
    path.write_bytes(WRITERS[kind](sound))
    return Result((sound,), {"audio": [saved.listed()]})


def _flac(sound: Sound) -> bytes:
    tone = None if sound.seed is None else 220.0 + sound.seed % 660
    return write_flac(sound.seconds, sound.sample_rate, sound.channels, tone, comment(sound.trace))


WRITERS: Mapping[str, Callable[[Sound], bytes]] = {
    "flac": _flac,
    "mp3": lambda sound: write_mp3(sound.seconds, comment(sound.trace)),
    "opus": lambda sound: write_opus(sound.seconds, comment(sound.trace)),
}


NODES: Mapping[str, Node] = {
    "LoadAudio": load_audio,
    "SaveAudio": save_audio,
    "SaveAudioMP3": save_audio_mp3,
    "SaveAudioOpus": save_audio_opus,
    "SaveAudioAdvanced": save_audio_as,
    "PreviewAudio": preview_audio,
}

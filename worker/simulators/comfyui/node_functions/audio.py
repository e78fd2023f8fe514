"""Nodes that load, save and preview audio files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.simulators.comfyui.classes import coerce
from worker.simulators.comfyui.classes.values import Audio, Trace
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.folders import SaveSlots, temp_prefix
from worker.simulators.comfyui.media.flac import write_flac
from worker.simulators.comfyui.media.silence import write_mp3, write_opus
from worker.simulators.comfyui.node_functions.saving import choice_value, file_comment, output_slots


def load_audio(call: NodeCall) -> NodeResult:
    """Return one second of silence in place of the file, which is not decoded."""
    return NodeResult((Audio(1.0, trace=Trace(text=call.text("audio"))),))


def save_audio(call: NodeCall) -> NodeResult:
    """Save the input `audio` as FLAC."""
    return _save_audio(call, "flac")


def save_audio_mp3(call: NodeCall) -> NodeResult:
    """Save silence of the input's duration as MP3."""
    return _save_audio(call, "mp3")


def save_audio_opus(call: NodeCall) -> NodeResult:
    """Save silence of the input's duration as Opus."""
    return _save_audio(call, "opus")


def save_audio_as(call: NodeCall) -> NodeResult:
    """Save the input `audio` in the format of the widget `format`."""
    return _save_audio(call, choice_value(call, "format", tuple(WRITERS)))


def preview_audio(call: NodeCall) -> NodeResult:
    """Write a FLAC file to temp."""
    audio = coerce.audio(call.inputs.get("audio"))
    return _write_audio(audio, "flac", call.context.folders.save_slots(temp_prefix(), "temp"))


def _save_audio(call: NodeCall, kind: str) -> NodeResult:
    """Save the input `audio` to output."""
    audio = coerce.audio(call.inputs.get("audio"))
    return _write_audio(audio, kind, output_slots(call, call.text("filename_prefix", "audio/ComfyUI")))


def _write_audio(audio: Audio, kind: str, slots: SaveSlots) -> NodeResult:
    """Write one file, and report it under `audio`."""
    path, saved = slots.next(kind, tail="")
    path.write_bytes(WRITERS[kind](audio))
    return NodeResult((audio,), {"audio": [saved.as_json()]})


def _flac(audio: Audio) -> bytes:
    """Return a FLAC file whose tone depends on the seed."""
    tone = None if audio.seed is None else 220.0 + audio.seed % 660
    return write_flac(audio.seconds, audio.sample_rate, audio.channels, tone, file_comment(audio.trace))


WRITERS: Mapping[str, Callable[[Audio], bytes]] = {
    "flac": _flac,
    "mp3": lambda audio: write_mp3(audio.seconds, file_comment(audio.trace)),
    "opus": lambda audio: write_opus(audio.seconds, file_comment(audio.trace)),
}


NODES: Mapping[str, NodeFunction] = {
    "LoadAudio": load_audio,
    "SaveAudio": save_audio,
    "SaveAudioMP3": save_audio_mp3,
    "SaveAudioOpus": save_audio_opus,
    "SaveAudioAdvanced": save_audio_as,
    "PreviewAudio": preview_audio,
}

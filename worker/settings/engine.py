"""Which ComfyUI runs the jobs, and when it counts as lost, hung or hopeless."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from worker.settings.setting import setting


class PreviewMethod(StrEnum):
    """How ComfyUI makes pictures of a sampler's work in progress, by its own names."""

    AUTO = "auto"
    LATENT2RGB = "latent2rgb"
    TAESD = "taesd"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ComfySettings:
    """Durations are seconds, sizes MiB."""

    comfyui: str = setting(
        "WORKER_COMFYUI", "embedded", "embedded, the URL of a running ComfyUI, or a ComfyUI folder to start"
    )
    output_folder: Path | None = setting(
        "WORKER_COMFYUI_OUTPUT",
        None,
        "output folder of a ComfyUI that is a URL, where it is shared; else files come by HTTP",
        flat="comfyui_output",
    )
    input_folder: Path | None = setting(
        "WORKER_COMFYUI_INPUT",
        None,
        "input folder of a ComfyUI that is a URL, where it is shared; else files go by HTTP",
        flat="comfyui_input",
    )
    args: str = setting(
        "WORKER_COMFYUI_ARGS", "", "more arguments for a ComfyUI that the worker starts", flat="comfyui_args"
    )
    gpus: str = setting(
        "WORKER_GPUS", "", "one ComfyUI on each GPU: a number, a list (`0,2`) or `auto`; empty: one ComfyUI for all"
    )
    catalog: Path | None = setting(
        "WORKER_CATALOG",
        None,
        "what this ComfyUI answers at `GET /object_info`, for as long as it can't be asked; .gz too",
    )
    api_key: SecretStr = setting(
        "COMFY_ORG_API_KEY",
        SecretStr(""),
        "comfy.org key for partner nodes, for every job that brings none of its own",
        flat="comfy_org_api_key",
    )
    start_s: float = setting(
        "WORKER_ENGINE_START", 600.0, "how long ComfyUI may take to answer after its start", flat="engine_start_s"
    )
    lost_s: float = setting(
        "WORKER_ENGINE_LOST", 120.0, "how long jobs wait for a ComfyUI that went away", flat="engine_lost_s"
    )
    silence_s: float = setting(
        "WORKER_ENGINE_SILENCE",
        30.0,
        "a ComfyUI that answers no request for this long is restarted",
        flat="engine_silence_s",
    )
    tries: int = setting(
        "WORKER_ENGINE_TRIES",
        5,
        "starts in a row without an answer from ComfyUI after which the worker gives up",
        flat="engine_tries",
    )
    node_silence_s: float = setting(
        "WORKER_NODE_SILENCE", 900.0, "how long a node may run without progress before it is stopped"
    )
    node_stop_s: float = setting(
        "WORKER_NODE_STOP",
        10.0,
        "how long a node may ignore its interrupt before ComfyUI is restarted; for slow classes up to 60",
    )
    fault: str = setting(
        "WORKER_FAULT", "", "what goes wrong in the embedded engine, to rehearse: see docs/embedded-engine.md"
    )
    previews: PreviewMethod = setting(
        "WORKER_PREVIEWS",
        PreviewMethod.AUTO,
        "how ComfyUI makes previews for jobs whose events a client follows: auto, latent2rgb, taesd or none",
    )
    node_deadlines: str = setting(
        "WORKER_NODE_DEADLINES", "", "other times for classes of nodes: `Class=seconds, Another=seconds`"
    )
    crash_memory_s: float = setting(
        "WORKER_CRASH_MEMORY", 3600.0, "how long a job that crashed ComfyUI twice is refused"
    )
    event_silence_s: float = setting(
        "WORKER_SILENCE", 5.0, "after this long without an event a job's place is asked over HTTP", flat="silence_s"
    )

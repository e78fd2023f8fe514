"""Settings for ComfyUI: which one runs the jobs, and when it counts as lost or hung."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from worker.settings.setting import setting


class PreviewMethod(StrEnum):
    """Names that ComfyUI gives to its methods of making previews while a sampler runs."""

    AUTO = "auto"
    LATENT2RGB = "latent2rgb"
    TAESD = "taesd"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ComfySettings:
    """Settings for ComfyUI. Durations are in seconds."""

    comfyui: str = setting(
        "WORKER_COMFYUI",
        "embedded",
        "ComfyUI that runs the jobs: `embedded` (a simulation), the URL of a running ComfyUI, or the folder "
        "of a ComfyUI that the worker starts.",
    )
    output_folder: Path | None = setting(
        "WORKER_COMFYUI_OUTPUT",
        None,
        "Output folder of a ComfyUI given by URL, if the worker can read it. Empty means that outputs are "
        "fetched over HTTP.",
        flat="comfyui_output",
    )
    input_folder: Path | None = setting(
        "WORKER_COMFYUI_INPUT",
        None,
        "Input folder of a ComfyUI given by URL, if the worker can write to it. Empty means that inputs are "
        "sent over HTTP.",
        flat="comfyui_input",
    )
    args: str = setting(
        "WORKER_COMFYUI_ARGS",
        "",
        "Additional command-line arguments for a ComfyUI that the worker starts.",
        flat="comfyui_args",
    )
    gpus: str = setting(
        "WORKER_GPUS",
        "",
        "GPUs for which the worker starts one ComfyUI each: a number of GPUs, a list (`0,2`) or `auto` for "
        "all. Empty means one ComfyUI.",
    )
    catalog: Path | None = setting(
        "WORKER_CATALOG",
        None,
        "File with ComfyUI's response to `GET /object_info`, as JSON or .gz. The worker uses it while it "
        "cannot reach ComfyUI.",
    )
    api_key: SecretStr = setting(
        "COMFY_ORG_API_KEY",
        SecretStr(""),
        "comfy.org key for partner nodes. It is used for every job that has no key of its own.",
        flat="comfy_org_api_key",
    )
    start_s: float = setting(
        "WORKER_ENGINE_START",
        600.0,
        "Seconds within which ComfyUI must respond after it was started.",
        flat="engine_start_s",
    )
    lost_s: float = setting(
        "WORKER_ENGINE_LOST",
        120.0,
        "Seconds for which jobs wait for a ComfyUI that cannot be reached, before they fail.",
        flat="engine_lost_s",
    )
    silence_s: float = setting(
        "WORKER_ENGINE_SILENCE",
        30.0,
        "If ComfyUI sends no HTTP response for this many seconds, the worker restarts it.",
        flat="engine_silence_s",
    )
    tries: int = setting(
        "WORKER_ENGINE_TRIES",
        5,
        "Number of failed starts of ComfyUI in a row after which the worker exits.",
        flat="engine_tries",
    )
    node_silence_s: float = setting(
        "WORKER_NODE_SILENCE", 900.0, "Seconds for which a node may run without progress before it is interrupted."
    )
    node_stop_s: float = setting(
        "WORKER_NODE_STOP",
        10.0,
        "Seconds for which a node may ignore its interrupt before ComfyUI is restarted. If a node class had long "
        "intervals without progress before, its nodes get up to 60 seconds.",
    )
    fault: str = setting(
        "WORKER_FAULT",
        "",
        "Fault that the embedded engine simulates, to test how clients handle it (docs/embedded-engine.md). "
        "Empty means none.",
    )
    previews: PreviewMethod = setting(
        "WORKER_PREVIEWS",
        PreviewMethod.AUTO,
        "Method with which ComfyUI makes previews, for jobs whose events a client follows: auto, latent2rgb, "
        "taesd or none.",
    )
    node_deadlines: str = setting(
        "WORKER_NODE_DEADLINES",
        "",
        "Values of WORKER_NODE_SILENCE for single node classes, in seconds: `Class=seconds, Another=seconds`.",
    )
    crash_memory_s: float = setting(
        "WORKER_CRASH_MEMORY", 3600.0, "Seconds for which a job is rejected after it has crashed ComfyUI twice."
    )
    event_silence_s: float = setting(
        "WORKER_SILENCE",
        5.0,
        "If ComfyUI sends no event of a job for this many seconds, the worker requests the job's state over HTTP.",
        flat="silence_s",
    )

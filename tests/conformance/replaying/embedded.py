"""Runs the embedded engine with the few arguments that the recorded server was started with."""

from __future__ import annotations

import argparse
from pathlib import Path

from worker.simulators.comfyui.server.serve import run
from worker.simulators.comfyui.settings import CachePolicy, EngineSettings

MODELS = {
    "checkpoints": ["random_sd15.safetensors"],
    "diffusion_models": ["random_zimage_2l.safetensors"],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--cache-ram", nargs=2)
    parser.add_argument("--enable-assets", action="store_true")
    options = parser.parse_args()
    cache = CachePolicy.EVERY_PROMPT if options.cache_ram else CachePolicy.LAST_PROMPT
    run(EngineSettings(base=options.base, port=options.port, cache=cache, strict_files=True, models=MODELS))


if __name__ == "__main__":
    main()

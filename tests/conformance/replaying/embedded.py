"""Starts the embedded engine with the options of the recorded server."""

from __future__ import annotations

import argparse
from pathlib import Path

from worker.engine.catalogs import read_catalog
from worker.simulators.comfyui.faults.fault import parse_faults
from worker.simulators.comfyui.server.serve import run
from worker.simulators.comfyui.settings import CachePolicy, EngineSettings
from worker.workflow.catalog.reduce import reduced

MODELS = {
    "checkpoints": ["random_sd15.safetensors"],
    "diffusion_models": ["random_zimage_2l.safetensors"],
}
SPEED = 5.0
SLOW = (
    "slow@ImageScale;seconds=0.1",
    "slow@KSampler;factor=200",
    "slow@ClownsharKSampler_Beta;factor=200",
)
"""Faults that slow the engine down, so that a recorded interrupt arrives before the prompt ends.

The recorded server took 0.2 to 0.6 s for large images and 1 s for a sampler step. With these faults a step takes 20 ms.
"""


def main() -> None:
    """Run the embedded engine with ComfyUI's command-line options of the recorded sessions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--cache-ram", nargs=2)
    parser.add_argument("--enable-assets", action="store_true")
    options = parser.parse_args()
    cache = CachePolicy.EVERY_PROMPT if options.cache_ram else CachePolicy.LAST_PROMPT
    run(
        EngineSettings(
            base=options.base,
            port=options.port,
            catalog=reduced(read_catalog(options.catalog)),
            preview_method="auto",
            cache=cache,
            strict_files=True,
            models=MODELS,
            speed=SPEED,
            faults=parse_faults(",".join(SLOW)),
        )
    )


if __name__ == "__main__":
    main()

"""The measured folders of inputs of popular packs."""

from __future__ import annotations

import json
from importlib import resources

from worker.workflow.catalog.folders import all_folders, folders_by_input, folders_of
from worker.workflow.catalog.measured_folders import MEASURED, reduce_measured


def test_folders_of_pack_inputs() -> None:
    """A row of inputs is one entry, and the table of ComfyUI itself takes precedence."""
    assert folders_of("LoRA Stacker", "lora_name_50") == ("loras",)
    assert folders_of("LoRA Stacker", "lora_name_51") == ()
    assert folders_of("UnetLoaderGGUF", "unet_name") == ("diffusion_models",)
    assert folders_of("UltralyticsDetectorProvider", "model_name") == ("ultralytics",)
    assert folders_of("LoraLoader", "lora_name") == ("loras",)
    assert folders_of("ImpactWildcardEncode", "Select to add LoRA") == ()
    assert folders_by_input("easy fullLoader") == {
        **{"ckpt_name": ("checkpoints",), "vae_name": ("vae",), "lora_name": ("loras",)},
    }
    assert {"sams", "ultralytics", "loras"} <= set(all_folders())


def test_reduce_measured() -> None:
    """Rows are joined, pickers and uploads are removed, and aliases of folders are replaced."""
    measured = {
        **{f"Stack|lora_{number}": ["loras"] for number in range(1, 6)},
        **{"A|unet": ["diffusion_models", "unet_gguf"], "A|model_1": ["vae"], "A|model_2": ["loras"]},
        **{"A|Select to add LoRA": ["loras"], "Load|image": ["input"], "B|pysssss|ckpt": ["checkpoints"]},
    }
    assert reduce_measured(measured) == {
        "A": {"unet": ["diffusion_models"], "model_1": ["vae"], "model_2": ["loras"]},
        "B|pysssss": {"ckpt": ["checkpoints"]},
        "Stack": {"lora_[1-5]": ["loras"]},
    }
    shipped = resources.files("worker.workflow.catalog").joinpath("data", MEASURED).read_text("utf-8")
    assert list(json.loads(shipped)) == sorted(json.loads(shipped))

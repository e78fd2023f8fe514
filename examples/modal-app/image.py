"""The image of the app: ComfyUI, its node packs, and the packages of the handlers."""

import modal

from config import COMFYUI_DIR, MODELS_PATH

COMFYUI = ("https://github.com/comfyanonymous/ComfyUI", "v0.33.0")
NODE_PACKS = [
    ("https://github.com/ClownsharkBatwing/RES4LYF", "022c873c6d198c67b3312a1804336533a050df18"),
    ("https://github.com/gseth/ControlAltAI-Nodes", "721492b66c9cede8ae23ae10615462ad80cfd061"),
    ("https://github.com/cubiq/ComfyUI_InstantID", "main"),
]


def _clone(url: str, ref: str, folder: str) -> list[str]:
    return [f"git clone {url} {folder}", f"git -C {folder} checkout {ref}"]


def _packs() -> list[str]:
    commands = []
    for url, ref in NODE_PACKS:
        folder = f"{COMFYUI_DIR}/custom_nodes/{url.rsplit('/', 1)[1]}"
        commands += _clone(url, ref, folder)
        commands.append(f"if [ -f {folder}/requirements.txt ]; then pip install -r {folder}/requirements.txt; fi")
    return commands


comfy_image = (
    modal.Image.debian_slim(python_version="3.12")
    .apt_install("git", "ffmpeg", "libgl1", "libglib2.0-0")
    .run_commands(*_clone(*COMFYUI, COMFYUI_DIR), f"pip install -r {COMFYUI_DIR}/requirements.txt")
    .run_commands(*_packs())
    .run_commands(f"rm -rf {COMFYUI_DIR}/models && ln -s {MODELS_PATH} {COMFYUI_DIR}/models")
    .pip_install_from_requirements("requirements.txt")
    .pip_install("fastapi[standard]")
    .add_local_dir("graphs", "/root/graphs")
    .add_local_python_source("config", "image", "handlers", "utils")
)

"""image-generation on the image of comfy-worker. Written by `comfy-worker modal init`; change it as you like.

    COMFY_WORKER_IMAGE=ghcr.io/you/comfy-worker@sha256:... modal deploy app.py

The worker of each container serves the functions in handlers/. `modal_app.py` starts and stops it.
"""

from pathlib import Path

import modal

from modal_app import OPTIONS, Worker, worker_image

HERE = Path(__file__).parent
app = modal.App("image-generation")

image = (
    worker_image()
    .pip_install_from_requirements(str(HERE / "requirements.txt"))
    .add_local_dir(HERE / "graphs", "/root/graphs")
    .add_local_dir(HERE / "handlers", "/root/handlers")
    .add_local_dir(HERE / "utils", "/root/utils")
    .add_local_python_source("modal_app", "config", "costs")
)


@app.cls(
    image=image,
    **{
        **OPTIONS,
        "gpu": "L40S",
        "volumes": {
            **OPTIONS["volumes"],
            "/models": modal.Volume.from_name("comfyui-models", create_if_missing=True),
            "/results": modal.Volume.from_name("comfyui-results", create_if_missing=True),
        },
        "secrets": [*OPTIONS["secrets"], modal.Secret.from_name("huggingface-secret")],
        "timeout": 1800,
        "startup_timeout": 600,
        "scaledown_window": 300,
        "env": {
            **OPTIONS["env"],
            "WORKER_HANDLERS_PORT": "8000",
            "WORKER_JOB_TIMEOUT": "1740",
            "COMFY_WORKER_START": "600",
        },
    },
)
@modal.concurrent(max_inputs=4)
class ComfyUI(Worker):
    @modal.method()
    async def generate_flux(self, prompt: str, negative_prompt: str = "", **kwargs) -> dict:
        return await self.handler("generate_flux_image", prompt=prompt, negative_prompt=negative_prompt, **kwargs)

    @modal.method()
    async def generate_instantid(self, prompt: str, face_image: str, **kwargs) -> dict:
        return await self.handler("generate_instantid_image", prompt=prompt, face_image=face_image, **kwargs)

    @modal.method()
    async def generate_lora(self, prompt: str, lora_name: str, **kwargs) -> dict:
        return await self.handler("generate_lora_image", prompt=prompt, lora_name=lora_name, **kwargs)

    @modal.method()
    async def generate_wan2(self, prompt: str, **kwargs) -> dict:
        return await self.handler("generate_wan2_video", prompt=prompt, **kwargs)

    @modal.method()
    async def upscale_seedvr2(self, image: str, **kwargs) -> dict:
        return await self.handler("upscale_seedvr2_image", image=image, **kwargs)

    @modal.method()
    async def run_workflow(self, workflow: dict, **kwargs) -> dict:
        return await self.handler("run_custom_workflow", workflow=workflow, **kwargs)

    @modal.method()
    async def generate_denrisi(self, prompt: str, **kwargs) -> dict:
        return await self.handler("generate_denrisi_image", prompt=prompt, **kwargs)

    @modal.asgi_app(requires_proxy_auth=True)
    def api(self):
        """Serve `POST /` with {"handler": METHOD, ...}, for callers with Modal-Key and Modal-Secret."""
        handlers = {
            "generate_flux": "generate_flux_image",
            "generate_instantid": "generate_instantid_image",
            "generate_lora": "generate_lora_image",
            "generate_wan2": "generate_wan2_video",
            "upscale_seedvr2": "upscale_seedvr2_image",
            "run_workflow": "run_custom_workflow",
            "generate_denrisi": "generate_denrisi_image",
        }
        return self.json_app(handlers)

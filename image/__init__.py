"""The image, built and looked at on a machine without registry, daemon or GPU.

`toolbox` has the tools, `standin` what takes ComfyUI's place, `sizes` measures; `sbom` runs inside the build.
"""

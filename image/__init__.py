"""Tools for building and testing the image on a machine without a registry, a daemon or a GPU.

`toolbox` has Buildah and Podman, `standin` replaces ComfyUI, and `sizes` measures. `sbom` runs inside the build.
"""

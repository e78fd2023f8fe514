"""What `pyproject.toml` can't say about the build.

`workflows/` is installed as `worker/workflows`, and `examples/modal/` as `worker/modal_app`.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["worker", "worker.*"]), "worker.workflows", "worker.modal_app"],
    package_dir={"worker.workflows": "workflows", "worker.modal_app": "examples/modal"},
)

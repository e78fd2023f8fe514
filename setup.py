"""The one thing about the build that `pyproject.toml` can't say: `workflows/` is installed as `worker/workflows`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["worker", "worker.*"]), "worker.workflows"],
    package_dir={"worker.workflows": "workflows"},
)

"""The image, built once for all tests, and containers of it."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from image.standin import build
from image.toolbox import Toolbox


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    return Toolbox.prepared()


@pytest.fixture(scope="session")
def image(toolbox: Toolbox) -> str:
    """Return the image's name; unchanged layers are reused between runs."""
    name, seconds = build(toolbox)
    print(f"built in {seconds:.1f} s")
    return name


@pytest.fixture(scope="session")
def engine(toolbox: Toolbox) -> Iterator[docker.DockerClient]:
    with toolbox.engine() as client:
        yield client

"""Runs the probe through the real launcher, as the supervisor starts an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.sandbox import probe
from worker.engine.process.folders import EngineFolders, engine_folders
from worker.engine.process.names import FIRST_ENGINE
from worker.engine.process.sandbox import launcher
from worker.engine.process.sandbox.home import sandbox_home
from worker.engine.process.sandbox.plan import sandbox_policy
from worker.engine.process.sandbox.policy import SandboxPolicy
from worker.engine.process.sandbox.support import landlock_version, sandbox_status
from worker.settings import Settings

LANDLOCK = landlock_version()
needs_landlock = pytest.mark.skipif(
    LANDLOCK <= 0, reason="THE SANDBOX IS NOT TESTED: this kernel has no Landlock, or a seccomp filter hides it"
)

Access = tuple[str | int, ...]


def policy_of(settings: Settings, name: str = FIRST_ENGINE, port: int = 1) -> tuple[EngineFolders, SandboxPolicy]:
    """Return the policy of an embedded engine with this name that may also read the probe."""
    folders = engine_folders(settings, name)
    assert folders is not None
    env = sandbox_home(folders.root, {})
    status = sandbox_status(settings.sandbox, LANDLOCK)
    policy = sandbox_policy(settings, folders, status, env, sys.executable, port)
    assert policy is not None
    return folders, replace(policy, read=(*policy.read, Path(probe.__file__)))


def attempts(policy: SandboxPolicy, accesses: Sequence[Access], **env: str) -> dict[str, str]:
    """Return the result of each access in the sandbox, by its kind and first argument."""
    program = [sys.executable, probe.__file__, json.dumps(list(accesses))]
    done = launch(policy, program, **env)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    return {" ".join(map(str, case)): outcome for case, outcome in zip(accesses, outcomes, strict=True)}


def launch(
    policy: SandboxPolicy, program: Sequence[str], pass_fds: Sequence[int] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    with given(policy) as stdin:
        return subprocess.run(
            [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *program],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=pass_fds,
            env={"PATH": os.environ["PATH"], **env},
        )


@contextmanager
def given(policy: SandboxPolicy) -> Iterator[int]:
    """Return a descriptor from which the launcher reads the policy."""
    with tempfile.TemporaryFile() as file:
        file.write(policy.as_json())
        file.seek(0)
        yield file.fileno()

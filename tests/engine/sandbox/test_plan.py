"""Tests of the policy that is derived from settings, folders and ComfyUI's tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.engine.process.folders import engine_folders
from worker.engine.process.names import FIRST_ENGINE, engine_name
from worker.engine.process.sandbox.home import sandbox_home
from worker.engine.process.sandbox.interpreter import interpreter_folders
from worker.engine.process.sandbox.plan import sandbox_policy
from worker.engine.process.sandbox.policy import SandboxPolicy, exclude
from worker.engine.process.sandbox.support import SandboxState, SandboxStatus
from worker.engine.process.sandbox.system import devices, system_paths
from worker.engine.process.sandbox.tree import argument_paths, model_paths
from worker.settings import Settings

ON = SandboxStatus(SandboxState.ON)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A ComfyUI with links to packs and models elsewhere, as on a developer's machine."""
    folder = tmp_path / "ComfyUI"
    for name in ("custom_nodes/RES4LYF", "models/checkpoints", "output", "input", "user", "comfy"):
        (folder / name).mkdir(parents=True)
    (tmp_path / "src" / "my-pack").mkdir(parents=True)
    (folder / "custom_nodes/my-pack").symlink_to(tmp_path / "src/my-pack")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/big.safetensors").write_bytes(b"1")
    (folder / "models/checkpoints/big.safetensors").symlink_to(tmp_path / "disk/big.safetensors")
    (folder / "main.py").write_text("")
    return folder


def policy_of(settings: Settings, name: str = FIRST_ENGINE, **environ: str) -> SandboxPolicy:
    folders = engine_folders(settings, name)
    assert folders is not None
    env = {**environ, **sandbox_home(folders.root, environ)}
    found = sandbox_policy(settings, folders, ON, env, "/usr/bin/python3", 5)
    assert found is not None
    return found


def readable(policy: SandboxPolicy, path: Path) -> bool:
    return any(path.resolve().is_relative_to(one.resolve()) for one in (*policy.read, *policy.write, *policy.private))


def test_links_of_a_tree_are_followed_and_no_more(tree: Path, tmp_path: Path) -> None:
    """Linked packs and models are readable, but not their neighbors or users' files in the tree."""
    (tmp_path / "disk/other.txt").write_text("")
    policy = policy_of(Settings.of(comfyui=str(tree), state=tmp_path / "state"))
    inside = ("comfy", "custom_nodes", "models/checkpoints/big.safetensors", "custom_nodes/my-pack")
    assert all(readable(policy, tree / name) for name in inside)
    assert not any(readable(policy, path) for path in (tmp_path / "disk/other.txt", tree / "output", tree / "user"))
    assert tree in policy.names


def test_a_state_folder_inside_what_is_read_stays_closed(tree: Path) -> None:
    """A state folder inside ComfyUI's folder is not readable, except for the engine's own folders."""
    state = tree / ".state"
    policy = policy_of(Settings.of(comfyui=str(tree), state=state))
    assert readable(policy, tree / "comfy")
    for name in ("journal.sqlite", "inputs", "outputs", "bodies", "engine.log", "comfyui-1/output", "suspects.json"):
        assert not readable(policy, state / name), name
    assert readable(policy, state / "comfyui/output")


def test_engines_share_no_folder_that_is_written(tree: Path, tmp_path: Path) -> None:
    """Two engines share only shared memory as a writable folder."""
    settings = Settings.of(comfyui=str(tree), state=tmp_path / "state")
    first, second = policy_of(settings), policy_of(settings, engine_name(1))
    common = {*first.write, *first.private} & {*second.write, *second.private}
    config = tree / "custom_nodes/RES4LYF/res4lyf.config.json"
    assert common == {Path("/dev/shm"), Path("/tmp/nvidia-mps"), config}
    assert not any(readable(second, path) for path in (*first.write, *first.private) if path not in common)


def test_a_packs_own_file_is_made_and_may_be_written(tree: Path, tmp_path: Path) -> None:
    """The known files of packs are created and writable, but no code beside them."""
    state = tmp_path / "state"
    state.mkdir()
    (tree / "custom_nodes/Other").mkdir()
    (tree / "custom_nodes/Other/own.json").symlink_to(state / "Other.own.json")
    (tree / "pins.json").write_text(json.dumps({"Other": {"writes": ["own.json"]}, "ComfyUI": {}}))
    policy = policy_of(Settings.of(comfyui=str(tree), state=state))
    files = {tree / "custom_nodes/RES4LYF/res4lyf.config.json", state / "Other.own.json"}
    assert {path for path in policy.write if path.is_file()} == files
    assert {path.read_text() for path in files} == {"{}\n"}


def test_paths_come_from_yaml_and_arguments(tmp_path: Path) -> None:
    """Folders in extra_model_paths.yaml and in WORKER_COMFYUI_ARGS are readable."""
    for name in ("a1111/models/Lora", "a1111/private", "comfy/checkpoints", "comfy/x", "out", "rel/vae"):
        (tmp_path / name).mkdir(parents=True)
    file = tmp_path / "extra.yaml"
    file.write_text(
        f"# a comment\na111:\n    base_path: {tmp_path}/a1111/\n    loras: |\n"
        "         models/Lora\n         models/LyCORIS\n"
        f"comfyui:\n    is_default: true\n    checkpoints: {tmp_path}/comfy/checkpoints # ours\n    vae: rel/vae\n"
    )
    expected = {tmp_path / "a1111/models/Lora", tmp_path / "comfy/checkpoints", tmp_path / "rel/vae"}
    assert set(model_paths(file)) == expected
    read, written = argument_paths(f"--cpu --extra-model-paths-config {file} --output-directory={tmp_path}/out")
    assert (set(read), written) == ({file, *expected}, [tmp_path / "out"])
    assert model_paths(tmp_path / "missing.yaml") == []


def test_a_hidden_folder_is_left_out_of_its_parents(tmp_path: Path) -> None:
    """`exclude` replaces the parents of a hidden folder by their other children."""
    for name in ("a/state/secret", "a/b/c", "d"):
        (tmp_path / name).mkdir(parents=True)
    allowed, listed = exclude([tmp_path, tmp_path / "a/state/secret"], [tmp_path / "a/state"])
    assert set(allowed) == {tmp_path / "a/b", tmp_path / "d", tmp_path / "a/state/secret"}
    assert set(listed) == {tmp_path, tmp_path / "a"}


def test_an_interpreter_is_asked_for_its_folders(tmp_path: Path) -> None:
    """`interpreter` returns prefixes and packages, also for a Python that does not run, but no home."""
    assert Path("/usr") in interpreter_folders("/usr/bin/python3", {})
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    assert interpreter_folders(str(venv / "bin" / "python"), {}) == [venv]
    assert Path.home() not in interpreter_folders(str(Path.home() / "bin" / "python"), {})


def test_the_system_is_a_list_of_names() -> None:
    """The readable system paths contain no accounts, keys, disks or terminals."""
    system = {str(path) for path in system_paths()}
    assert system.isdisjoint({"/", "/etc", "/etc/passwd", "/etc/environment", "/root", "/home", "/tmp", "/var", "/run"})
    assert {"/usr", "/proc", "/sys"} <= system
    names = {path.name for path in devices()}
    assert {"null", "urandom"} <= names
    assert not any(name.startswith(("vd", "sd", "nvme", "tty", "mem", "kmsg", "loop", "pts")) for name in names)


def test_a_cache_that_somebody_named_stays(tmp_path: Path) -> None:
    """A configured cache is writable, but not the token in HF_HOME or the rest of a home."""
    given = {"HF_HOME": f"{tmp_path}/hf", "TORCH_HOME": f"{tmp_path}/torch", "XDG_CONFIG_HOME": f"{tmp_path}/config"}
    state = tmp_path / "state"
    policy = policy_of(Settings.of(comfyui="embedded", state=state), **given)
    assert readable(policy, tmp_path / "hf/hub/models--x")
    assert readable(policy, tmp_path / "torch/hub")
    assert not any(readable(policy, path) for path in (tmp_path / "hf/token", tmp_path / "config"))
    moved = sandbox_home(state / "engine", given)
    assert "HF_HOME" not in moved
    assert moved["HOME"] == f"{state}/engine/home"
    assert moved["XDG_CONFIG_HOME"] == f"{state}/engine/home/.config"
    assert moved["USER"]

"""`comfy-worker modal init`: the new app, the table of what maps to what, and apps that cannot be read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, cli

OLD_APP = ROOT / "examples" / "modal-app"


def methods(path: Path, name: str) -> dict[str, str]:
    """Return the parameters of the methods of a class that have a decorator `modal.method`, as source."""
    [found] = [node for node in ast.parse(path.read_text("utf-8")).body if getattr(node, "name", "") == name]
    assert isinstance(found, ast.ClassDef)
    return {
        node.name: ast.unparse(node.args)
        for node in found.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "modal.method()" in map(ast.unparse, node.decorator_list)
    }


def test_the_new_app_keeps_names_signatures_and_options(tmp_path: Path) -> None:
    """The class has the same methods with the same parameters, and the same GPU, volumes, secrets and limits."""
    new = tmp_path / "new"
    done = cli("modal", "init", OLD_APP, "--out", new, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert methods(new / "app.py", "ComfyUI") == methods(OLD_APP / "app.py", "ComfyUI")
    text = (new / "app.py").read_text("utf-8")
    for part in ('"gpu": "L40S"', 'from_name("comfyui-models"', 'from_name("huggingface-secret")', '"timeout": 1800'):
        assert part in text
    assert "@modal.concurrent(max_inputs=4)" in text
    assert '"WORKER_JOB_TIMEOUT": "1740"' in text
    assert '"WORKER_HANDLERS_PORT": "8000"' in text
    assert (new / "handlers" / "flux.py").read_bytes() == (OLD_APP / "handlers" / "flux.py").read_bytes()
    assert "ComfyUI.generate_flux       POST /handlers/generate_flux_image" in done.stdout
    assert "ComfyUI.stop                Worker.start and Worker.stop" in done.stdout


def test_the_new_app_can_be_imported_and_all_its_methods_are_async(tmp_path: Path) -> None:
    """Modal accepts the new app. Only async methods can be canceled one by one."""
    new = tmp_path / "new"
    assert cli("modal", "init", OLD_APP, "--out", new, cwd=tmp_path).returncode == 0
    subprocess.run([sys.executable, "app.py"], cwd=new, check=True)
    nodes = ast.walk(ast.parse((new / "app.py").read_text("utf-8")))
    assert not [
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef) and "modal.method()" in map(ast.unparse, node.decorator_list)
    ]


def test_without_a_folder_the_app_is_printed(tmp_path: Path) -> None:
    """Standard output is the new app.py, the table is on standard error, and nothing is written."""
    done = cli("modal", "init", OLD_APP, cwd=tmp_path)
    assert ast.parse(done.stdout)
    assert "POST /handlers/generate_lora_image" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    """Unknown options, computed values, other methods and functions are in the table, with their lines."""
    (tmp_path / "app.py").write_text(
        "import modal, os\n"
        'app = modal.App("odd")\n'
        '@app.cls(gpu=os.environ["GPU"], retries=3)\n'
        "class Odd(Base):\n"
        "    size: int = modal.parameter(default=1)\n"
        "    @modal.method()\n"
        "    def inline(self, x=1): return x\n"
        "    @modal.web_server(8000)\n"
        "    def ui(self): pass\n"
        "@app.function()\n"
        "def nightly(): pass\n"
    )
    done = cli("modal", "init", tmp_path, "--json", cwd=tmp_path)
    assert done.returncode == 1
    rows = [target for _, target in json.loads(done.stdout)["mapping"] if target.startswith("not mapped")]
    assert rows == [
        "not mapped: app.py:7: it calls no function of handlers/: move its code there",
        "not mapped: app.py:4: the base class `Base`: move its methods into `Odd`",
        "not mapped: app.py:5: the parameter `size` of the class: make it one of the handlers",
        "not mapped: the option gpu: its value `os.environ['GPU']` is no constant",
        "not mapped: the option retries=3",
        "not mapped: app.py:9: the method `ui` with @web_server",
        "not mapped: app.py:11: the function `nightly`: add it to the new app by hand, or make it a handler",
    ]
    assert json.loads(done.stdout)["unmapped"] == len(rows)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no file with `modal.App(...)`: name the folder of the original app"),
        ("import modal\napp = modal.App()\n", "line 2: `modal.App()` has no name"),
        ("import modal\napp = modal.App(name())\n", "the name of the app is no constant: name()"),
        ("import modal\napp = modal.App(\n", "is not valid Python: line 2"),
    ],
)
def test_an_app_that_cannot_be_read_is_an_error(source: str, message: str, tmp_path: Path) -> None:
    """The message names the file and the reason, and nothing is written."""
    (tmp_path / "app.py").write_text(source)
    done = cli("modal", "init", tmp_path, "--out", tmp_path / "new", cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "new").exists()


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    """`--out` has to be a new folder."""
    done = cli("modal", "init", OLD_APP, "--out", tmp_path, cwd=tmp_path)
    assert (done.returncode, "exists already: name a new folder with --out" in done.stderr) == (1, True)


HANDLERS = """
def generate(prompt, size=1, *, port=8000): ...
def anything(**kwargs): ...
class Lora:
    def generate(self): ...
"""
HEAD = """
import base64, modal
from handlers import flux as fx
from handlers.flux import generate as gen, Lora
import handlers.flux
import config
app = modal.App("forms")
@app.cls()
class Forms:
    @modal.method()
    def method(self, text, size=2, *rest, **kw):
"""


def new_method(folder: Path, body: str) -> tuple[str, list[str]]:
    """Return the last line of the new form of a method, and the rows that are not mapped."""
    (folder / "handlers").mkdir()
    (folder / "handlers" / "flux.py").write_text(HANDLERS)
    (folder / "handlers" / "other.py").write_text("from handlers.flux import generate\n")
    (folder / "config.py").write_text('QUALITY = "high"\nPORT = 8000\n')
    (folder / "app.py").write_text(HEAD + "".join(f"        {line}\n" for line in body.split("\n")))
    done = cli("modal", "init", folder, "--json", cwd=folder)
    answer = json.loads(done.stdout)
    rows = [target.removeprefix("not mapped: ") for _, target in answer["mapping"] if target.startswith("not mapped")]
    assert done.returncode == (1 if rows else 0)
    return answer["app"].strip().splitlines()[-1].strip(), rows


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ("return gen(text, size)", '"generate", prompt=text, size=size'),
        ("return fx.generate(prompt=text)", '"generate", prompt=text'),
        ("return handlers.flux.generate(text, size=3)", '"generate", prompt=text, size=3'),
        ("from handlers.other import generate\nreturn generate(text)", '"generate", prompt=text'),
        ('"""Text."""\nresult = fx.anything(**kw)\nreturn result', '"anything", **kw'),
        ('return fx.anything(text=text, quality="high", **kw)', '"anything", text=text, quality="high", **kw'),
        ("return fx.anything(quality=config.QUALITY)", '"anything", quality="high"'),
        ("return gen(text, port=config.PORT)", '"generate", prompt=text'),
    ],
)
def test_a_call_of_a_handler_keeps_its_arguments(body: str, call: str, tmp_path: Path) -> None:
    """Positional arguments get the handler's names, constants stay, and the port of ComfyUI comes from the worker."""
    assert new_method(tmp_path, body) == (f"return await self.handler({call})", [])


def test_a_helper_that_calls_the_handler_is_left_out_and_named(tmp_path: Path) -> None:
    """The method works without it, and the row says what to do about it."""
    line, rows = new_method(tmp_path, "return self._run(gen, text, size=size)")
    assert line == 'return await self.handler("generate", prompt=text, size=size)'
    assert rows == ["app.py:11: `method` without `self._run`: let a decorator of the handlers do what it does"]


def test_a_signature_has_no_names_that_only_the_old_app_has(tmp_path: Path) -> None:
    """A default gets its value, and an annotation of an imported type is left out."""
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "flux.py").write_text(HANDLERS)
    (tmp_path / "config.py").write_text("STEPS = 4\n")
    (tmp_path / "app.py").write_text(
        "import modal, config, os\nfrom typing import Optional\nfrom handlers.flux import anything\n"
        'app = modal.App("signatures")\n'
        "@app.cls()\n"
        "class Signatures:\n"
        "    @modal.method()\n"
        "    def first(self, text: Optional[str] = None, steps: int = config.STEPS, cfg=-1.5) -> Optional[dict]:\n"
        "        return anything(text=text, steps=steps, cfg=cfg)\n"
        "    @modal.method()\n"
        '    def second(self, folder=os.environ["FOLDER"]):\n'
        "        return anything(folder=folder)\n"
    )
    done = cli("modal", "init", tmp_path, cwd=tmp_path)
    assert "async def first(self, text=None, steps: int = 4, cfg=-1.5) -> object:" in done.stdout
    assert "async def second(self, *args, **kwargs) -> object:" in done.stdout
    assert "app.py:11: the default `os.environ['FOLDER']` of `folder` is no constant" in done.stderr


MORE = "it does more than return the result of one handler: move its code into a function of handlers/"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return gen(text.strip())", "12: the argument `text.strip()` is computed: compute it in the handler"),
        ("return gen(base64.b64decode(text))", "12: the argument `base64.b64decode(text)` is computed"),
        ("return gen(*rest)", "12: the argument `*rest` has no name: pass arguments by name"),
        ("return gen(text, self.size)", "12: the argument `self.size` is computed"),
        ("return gen(text, style=text)", "12: `generate` has no parameter `style`: add it there"),
        ("return Lora().generate()", "12: handlers/flux.py has no public function `Lora`"),
        ("return fx.missing(text)", "12: handlers/flux.py has no public function `missing`"),
        ("from handlers.gone import run\nreturn run()", "13: handlers/gone.py has no public function `run`"),
        ("result = gen(text)\nresult['cost'] = 1\nreturn result", f"12: {MORE}"),
        ("return gen(text)['image']", f"12: {MORE}"),
        ("return self._run(text, gen)", f"12: {MORE}"),
        ("return self._run(gen, prompt=text.strip())", "12: the argument `text.strip()` is computed"),
        ("if size:\n    return fx.anything()\nreturn gen(text)", f"12: {MORE}"),
        ("gen(text)", f"12: {MORE}"),
        ("return text", "11: it calls no function of handlers/: move its code there"),
    ],
)
def test_a_method_that_does_more_is_not_mapped(body: str, reason: str, tmp_path: Path) -> None:
    """The table has its line, the reason and the cure, and the new method raises them."""
    line, rows = new_method(tmp_path, body)
    assert len(rows) == 1
    assert rows[0].startswith(f"app.py:{reason}")
    assert line.startswith("raise NotImplementedError(")
    assert ast.literal_eval(line.removeprefix("raise NotImplementedError(").removesuffix(")")) == rows[0]


@pytest.mark.parametrize(
    "source",
    [
        'import modal\napp = modal.App(name="named")\n',
        'import modal as m\napp = m.App("named")\n',
        'from modal import App\napp = App("named")\n',
        "from modal import App as A\nimport config\napp = A(config.NAME)\n",
    ],
)
def test_an_app_is_found_however_it_is_imported(source: str, tmp_path: Path) -> None:
    """Its name is a positional or a named argument."""
    (tmp_path / "config.py").write_text('NAME = "named"\n')
    (tmp_path / "main.py").write_text(source)
    done = cli("modal", "init", tmp_path, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["mapping"][0] == ["modal.App", "named"], done.stderr


IMAGE_APP = """
import modal
image = (
    modal.Image.debian_slim()
    .apt_install("ffmpeg")
    .pip_install("comfy-cli==1.5.3", "python_slugify==8.0.4")
    .uv_pip_install(["numpy", "Python-Slugify"])
    .run_commands("comfy node install --fast-deps was-node-suite-comfyui@1.0.2")
    .run_commands("git clone https://github.com/cubiq/ComfyUI_InstantID /root/comfy/ComfyUI/custom_nodes/InstantID")
    .env({"TOKEN_URL": "x"})
)
app = modal.App("image", image=image, secrets=[modal.Secret.from_name("all")])
"""


def test_packages_of_the_image_become_requirements(tmp_path: Path) -> None:
    """Those of ComfyUI are left out, a package is there once, and the rest of the image is in the table."""
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "utils").mkdir(parents=True)
    (old / "app.py").write_text(IMAGE_APP)
    (old / "volumes.py").write_text("import modal\n")
    starts = 'import volumes\ndef launch():\n    command = ["comfy", "launch"]\n    subprocess.Popen(command)\n'
    (old / "utils" / "comfyui.py").write_text(starts)
    done = cli("modal", "init", old, "--out", new, cwd=tmp_path)
    assert done.returncode == 1
    assert (new / "requirements.txt").read_text() == "python_slugify==8.0.4\nnumpy\n"
    assert "comfy-worker, with requirements.txt for the handlers: python_slugify==8.0.4, numpy, without comfy-cli" in (
        done.stdout
    )
    for part in (
        "app.py:5: apt_install change: 'ffmpeg'",
        "change: comfy node install --fast-deps was-node-suite-comfyui@1.0.2: pin node packs",
        "change: git clone https://github.com/cubiq/ComfyUI_InstantID /root/comfy/ComfyUI/custom_nodes/InstantID: pin",
        "change: {'TOKEN_URL': 'x'}: set variables",
        "utils/comfyui.py:2 change: it starts ComfyUI itself",
        "utils/comfyui.py:1 not mapped: volumes.py uses Modal and is left out",
        "not mapped: app.py:12: secrets=[modal.Secret.from_name('all')] of the app: add it to its classes",
        "2 not mapped, 5 to change",
    ):
        assert part in " ".join(done.stdout.split()), (part, done.stdout)

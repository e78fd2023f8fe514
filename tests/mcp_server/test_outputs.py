"""Outputs as content of a result and as resources."""

from __future__ import annotations

import base64
import io
import random
from pathlib import Path

import pytest
from mcp import MCPError
from PIL import Image

from tests.conftest import Client as Worker
from tests.conftest import shared_client as client  # noqa: F401 - a fixture
from tests.mcp_server.hosts import direct_host, kinds, structured, text
from tests.simulators.comfyui.test_media import AUDIO, SOUND, two_node_prompt
from tests.workflows import picture
from worker.mcp_server.output_content import RESULT_BASE64_BYTES
from worker.mcp_server.previews import MOST_PIXELS, preview_of

PNG = b"\x89PNG\r\n"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def noise(width: int, height: int, mode: str = "RGB") -> bytes:
    """Return a PNG that cannot be compressed."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    image = Image.frombytes(mode, (width, height), random.Random(1).randbytes(width * height * channels))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def copying(count: int) -> dict[str, dict[str, object]]:
    """Return a workflow that saves its input file `count` times."""
    save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "copy"}}
    return {"1": {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}} | {
        f"{n + 2}": save for n in range(count)
    }


@pytest.mark.parametrize("count", [1, 3])
async def test_large_images_are_previews_and_links(client: Worker, count: int) -> None:  # noqa: F811
    """Images above the limit of a result are shown smaller, together below it, and each file can be read."""
    files = {"noise.png": base64.b64encode(noise(900, 600)).decode()}
    async with direct_host(client.app.url) as host:
        result = await host.call_tool("generate", {"workflow": copying(count), "inputs": files})
        outputs = structured(result)["outputs"]
        [content] = (await host.read_resource(outputs[0]["uri"])).contents
    assert kinds(result) == ["text", *["image", "resource_link"] * count]
    images = [block for block in result.content if block.type == "image"]
    assert sum(len(block.data) for block in images) <= RESULT_BASE64_BYTES
    assert {block.mime_type for block in images} == {"image/jpeg"}
    assert [block.uri for block in result.content if block.type == "resource_link"] == [row["uri"] for row in outputs]
    complete = Image.open(io.BytesIO(base64.b64decode(content.blob)))
    assert (content.mime_type, complete.size) == ("image/png", (900, 600))


async def test_a_batch_shows_its_first_images(client: Worker) -> None:  # noqa: F811
    """A result shows at most eight images, and links to the others."""
    workflow = picture()
    workflow["1"]["inputs"]["batch_size"] = 10
    async with direct_host(client.app.url) as host:
        result = await host.call_tool("generate", {"workflow": workflow})
    assert kinds(result) == ["text", *["image"] * 8, *["resource_link"] * 2]


async def test_other_files_are_links(client: Worker) -> None:  # noqa: F811
    """A video and an audio file are links whose resources have the whole file."""
    workflow = picture()
    workflow["2"] = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}}
    workflow["3"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["2", 0], "filename_prefix": "v", "format": "auto", "codec": "auto"},
    }
    async with direct_host(client.app.url) as host:
        video = await host.call_tool("generate", {"workflow": workflow})
        [content] = (await host.read_resource(structured(video)["outputs"][0]["uri"])).contents
        audio = await host.call_tool(
            "generate",
            {"workflow": two_node_prompt("EmptyAudio", SOUND, "SaveAudio", {**AUDIO, "filename_prefix": "a"})},
        )
    assert kinds(video) == kinds(audio) == ["text", "resource_link"]
    link = video.content[1]
    assert link.type == "resource_link"
    assert (link.mime_type, content.mime_type) == ("video/mp4", "video/mp4")
    assert len(base64.b64decode(content.blob)) == link.size
    assert structured(audio)["outputs"][0]["kind"] == "audio"


async def test_texts_are_texts(client: Worker) -> None:  # noqa: F811
    """A text output is in the report, shortened if it is long, and complete as a resource."""
    words = "é" * 30_000
    workflow = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": words}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    async with direct_host(client.app.url) as host:
        result = await host.call_tool("generate", {"workflow": workflow})
        [output] = structured(result)["outputs"]
        [content] = (await host.read_resource(output["uri"])).contents
    assert kinds(result) == ["text"]
    assert output["kind"] == "text"
    assert len(output["text"]) < 21_000
    assert content.text == words


async def test_no_token_reaches_the_agent(client: Worker) -> None:  # noqa: F811
    """Neither a result nor a link contains the token of the job."""
    async with direct_host(client.app.url) as host:
        result = await host.call_tool("generate", {"template": "smoke-resize"})
        started = await host.call_tool("generate", {"template": "smoke-resize", "wait": False})
    assert "token" not in result.model_dump_json() + started.model_dump_json()


async def test_outputs_are_saved_in_a_folder(client: Worker, tmp_path: Path) -> None:  # noqa: F811
    """With --out the result has the path of each saved file, and no file is overwritten."""
    async with direct_host(client.app.url, out=tmp_path / "new") as host:
        paths = [
            Path(
                structured(await host.call_tool("generate", {"workflow": picture(prefix="same")}))["outputs"][0]["path"]
            )
            for _ in range(2)
        ]
    assert len(set(paths)) == 2
    assert all(path.parent == tmp_path / "new" and path.read_bytes().startswith(PNG) for path in paths)


async def test_a_folder_that_cannot_be_written_is_an_error(client: Worker, tmp_path: Path) -> None:  # noqa: F811
    """If outputs cannot be saved, the error names the folder and the job."""
    (tmp_path / "file").write_text("")
    async with direct_host(client.app.url, out=tmp_path / "file") as host:
        result = await host.call_tool("generate", {"workflow": picture()})
    assert result.is_error
    assert "not_saved" in text(result)


async def test_only_files_of_the_folder_are_sent(client: Worker, tmp_path: Path) -> None:  # noqa: F811
    """With --files an agent sends a file of that folder, and no other file of the machine."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(noise(50, 40))
    (tmp_path / "secret.png").write_bytes(noise(8, 8))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    async with direct_host(client.app.url, files=folder) as host:

        async def resized(value: str) -> str:
            params = {"image": value, "width": 64, "height": 64}
            return text(await host.call_tool("generate", {"template": "resize", "params": params}))

        assert '"completed"' in await resized("file:a.png")
        for value in ("file:../secret.png", "file:link.png", f"file://{tmp_path}/secret.png", "file:"):
            assert (await resized(value)).startswith(("file_not_allowed", "file_unreadable")), value
        assert (await resized("file:b.png")).startswith("file_unreadable")


@pytest.mark.parametrize(
    "uri",
    ["comfy://jobs/none/outputs/0", "comfy://jobs/../outputs/0", "file:///etc/passwd", "", "comfy://jobs/a/outputs/x"],
)
async def test_other_uris_are_no_resources(client: Worker, uri: str) -> None:  # noqa: F811
    """A URI that is no output of the caller is rejected."""
    async with direct_host(client.app.url) as host:
        with pytest.raises(MCPError, match=r"there is no resource|not_found"):
            await host.read_resource(uri)


async def test_resources_are_found_by_a_template(client: Worker) -> None:  # noqa: F811
    """The server has one template for resources, and lists none."""
    async with direct_host(client.app.url) as host:
        [template] = (await host.list_resource_templates()).resource_templates
        assert (await host.list_resources()).resources == []
    assert template.uri_template == "comfy://jobs/{job_id}/outputs/{index}"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
async def test_a_preview_fits(mode: str) -> None:
    """A preview of any mode is a JPEG below the limit, in the proportions of the image."""
    preview = preview_of(noise(1600, 800, mode), 100_000)
    assert preview is not None
    assert len(preview.data) <= 100_000
    assert preview.width == 2 * preview.height
    assert Image.open(io.BytesIO(preview.data)).format == "JPEG"


async def test_a_preview_is_turned_as_its_image() -> None:
    """The orientation in the metadata of a photo applies to its preview."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(file, "JPEG", exif=exif)
    preview = preview_of(file.getvalue(), 50_000)
    assert preview is not None
    assert (preview.width, preview.height) == (200, 400)


@pytest.mark.parametrize("broken", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, noise(64, 64)[:200]])
async def test_a_broken_image_has_no_preview(broken: bytes) -> None:
    """There is no preview of a file that Pillow cannot decode."""
    assert preview_of(broken, 50_000) is None


async def test_a_huge_image_has_no_preview() -> None:
    """An image with more pixels than the limit is not decoded."""
    file = io.BytesIO()
    Image.new("1", (MOST_PIXELS // 4096 + 8, 4096)).save(file, "PNG")
    assert preview_of(file.getvalue(), 50_000) is None

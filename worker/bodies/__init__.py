"""Request bodies: JSON of any size, read while it arrives. Strings above 64 KiB are written to files.

How a route reads a body:

    async with SpoolFolder(state / "bodies") as folder:
        reader = BodyReader(chunks)                          # reads nothing yet
        identity = check(search.find(await reader.head(n)))  # a MemberSearch for a field near the start
        body = await reader.read(folder, BodyLimits(total))  # writes long strings to files
        fingerprint = body.fingerprint()
        await body.restore_texts(files_under=("inputs",))    # all other long strings become `str` again
        request = dialect.read(body.value, library)          # does no I/O; `inputs: dict[str, Content]`
        file = await request.inputs["photo.png"].decode_base64()
        await folder.move_out(file.path, job_folder / "photo.png")

Files that were not moved out are removed when the context ends, also after an error.
"""

from worker.bodies.base64_text import DATA_URI, decode_base64
from worker.bodies.body import ScannedBody
from worker.bodies.content import Content
from worker.bodies.encoding import utf8_text
from worker.bodies.folder import SpoolFolder, in_thread, remove_leftovers
from worker.bodies.json_error import invalid_json_error
from worker.bodies.limits import DEEPEST_JSON, BodyLimits, check_depth
from worker.bodies.member import MemberSearch
from worker.bodies.reader import BodyReader, open_json, parse_json, parse_text_at, read_json
from worker.bodies.scanner import BodyScanner
from worker.bodies.spooled import JsonPath, SpooledFile, SpooledText, spool_file

__all__ = [
    "DATA_URI",
    "DEEPEST_JSON",
    "BodyLimits",
    "BodyReader",
    "BodyScanner",
    "Content",
    "JsonPath",
    "MemberSearch",
    "ScannedBody",
    "SpoolFolder",
    "SpooledFile",
    "SpooledText",
    "check_depth",
    "decode_base64",
    "in_thread",
    "invalid_json_error",
    "open_json",
    "parse_json",
    "parse_text_at",
    "read_json",
    "remove_leftovers",
    "spool_file",
    "utf8_text",
]

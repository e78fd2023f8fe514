"""Request bodies: JSON of any size, read as it arrives, in which long strings are files.

The pattern for the code that receives a request:

    async with SpoolFolder(state / "bodies") as folder:
        reader = BodyReader(chunks)                          # nothing is read yet
        identity = check(search.find(await reader.head(n)))  # where the identity lies in the body: MemberSearch
        body = await reader.read(folder, BodyLimits(total))  # strings above 64 KiB go to files as they arrive
        fingerprint = body.fingerprint()
        await body.restore_texts(files_under=("inputs",))    # what this dialect does not take for a file
        request = dialect.read(body.value, library)          # pure: `inputs: dict[str, Content]`
        file = await request.inputs["photo.png"].decode_base64()
        await folder.move_out(file.path, job_folder / "photo.png")

What is not taken is removed at the end, whatever happened.
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

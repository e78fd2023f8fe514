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
        await folder.take(file.path, job_folder / "photo.png")

What is not taken is removed at the end, whatever happened.
"""

from worker.bodies.base64_text import DATA_URI, decode_base64
from worker.bodies.body import ScannedBody
from worker.bodies.content import Content
from worker.bodies.encoding import utf8_text
from worker.bodies.folder import SpoolFolder, in_thread, remove_leftovers
from worker.bodies.json_error import not_json
from worker.bodies.limits import DEEPEST_JSON, BodyLimits, check_depth
from worker.bodies.member import MemberSearch
from worker.bodies.reader import BodyReader, open_text, opened_json, parsed_json, read_json
from worker.bodies.scanner import BodyScanner
from worker.bodies.spooled import SpooledFile, SpooledText, Where, spool_file

__all__ = [
    "DATA_URI",
    "DEEPEST_JSON",
    "BodyLimits",
    "BodyReader",
    "BodyScanner",
    "Content",
    "MemberSearch",
    "ScannedBody",
    "SpoolFolder",
    "SpooledFile",
    "SpooledText",
    "Where",
    "check_depth",
    "decode_base64",
    "in_thread",
    "not_json",
    "open_text",
    "opened_json",
    "parsed_json",
    "read_json",
    "remove_leftovers",
    "spool_file",
    "utf8_text",
]

"""Width, height and length of pictures, video and sound, read from the headers of their files.

The parsers are our own. Of the Python packages that know video containers the light ones are GPL (mutagen) or give no
width and height (tinytag), and the others are bindings of 6 and 36 MB (pymediainfo, PyAV). None bounds what it reads.
"""

from worker.outputs.media_facts.read import MediaFacts, media_facts

__all__ = ["MediaFacts", "media_facts"]

"""Width, height, frames and duration of images, videos and audio files, read from the headers of the files.

The parsers are our own. Of the Python packages for media files, mutagen is GPL, tinytag returns no width and height,
and pymediainfo and PyAV have native libraries of 6 and 36 MB. None of them limits how much it reads.
"""

from worker.media_facts.read import media_facts, media_facts_of_bytes
from worker.media_facts.source import MediaFacts

__all__ = ["MediaFacts", "media_facts", "media_facts_of_bytes"]

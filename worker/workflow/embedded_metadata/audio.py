"""Readers of audio files: the ID3 tag of MP3, and the Vorbis comments of FLAC and Ogg (Opus, Vorbis or FLAC)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAX_PACKET = 64 * 1024 * 1024
"""Bytes that are read of a comment packet. A longer packet has no workflow."""

_COMMENT_BLOCK = 4
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_USER_TEXT_FRAMES = (b"TXXX", b"TXX")
_COMMENT_HEADERS = (b"OpusTags", b"\x03vorbis")


def mp3_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each user text (`TXXX`) in the ID3 tag at the start of an MP3 (id3.org, ID3v2.2 to 2.4).

    A damaged tag yields the texts before the damage.
    """
    if data[:3] != b"ID3" or len(data) < 10:
        return
    version, flags, size = data[3], data[5], _syncsafe(data[6:10])
    is_unsynchronized, has_extended_header = flags & 0x80, flags & 0x40
    tag = data[10 : 10 + size]
    if is_unsynchronized and version < 4:  # a zero was inserted after every byte 0xFF
        tag = tag.replace(b"\xff\x00", b"\xff")
    position = 0
    if has_extended_header and version > 2:  # before version 4 its size does not count the four bytes of the size
        position = _syncsafe(tag[:4]) if version > 3 else 4 + int.from_bytes(tag[:4], "big")
    name_size, header_size = (3, 6) if version == 2 else (4, 10)
    while position + header_size <= len(tag) and tag[position]:  # zeros fill up the tag
        kind, size_bytes = tag[position : position + name_size], tag[position + name_size : position + 2 * name_size]
        length = _syncsafe(size_bytes) if version > 3 else int.from_bytes(size_bytes, "big")
        if kind in _USER_TEXT_FRAMES:
            yield _user_text(tag[position + header_size : position + header_size + length])
        position += header_size + length


def flac_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each comment of a FLAC file (RFC 9639, section 8).

    A metadata block has a header of four bytes: a flag for the last block, the kind (7 bits), and the length (3 bytes).
    """
    position = 4  # after the signature `fLaC`
    while position + 4 <= len(data):
        is_last, kind = data[position] & 0x80, data[position] & 0x7F
        length = int.from_bytes(data[position + 1 : position + 4], "big")
        if kind == _COMMENT_BLOCK:
            yield from _comments(data[position + 4 : position + 4 + length])
        if is_last:
            return
        position += 4 + length


def ogg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each comment of an Ogg file, from the second packet of its first stream.

    That packet has the comments in Opus (RFC 7845), in Vorbis, and in FLAC, where it is a metadata block.
    """
    packet = _second_packet(data)
    for header in _COMMENT_HEADERS:
        if packet.startswith(header):
            yield from _comments(packet[len(header) :])
            return
    is_flac_comment = packet[:1] and packet[0] & 0x7F == _COMMENT_BLOCK
    if is_flac_comment:
        yield from _comments(packet[4:])


def _second_packet(data: bytes) -> bytes:
    """Return the second packet of the first stream of an Ogg file (RFC 3533), joined from the pages that contain it.

    A page has a header of 27 bytes with the number of the stream at 14 and the count of segments at 26, then the length
    of each segment. A segment of less than 255 bytes ends a packet. The result is empty if there is no second packet.
    """
    first_stream, position, size = data[14:18], 0, 0
    parts, complete_packets = list[bytes](), 0
    while data[position : position + 4] == b"OggS" and position + 27 <= len(data) and size < MAX_PACKET:
        segments = data[position + 27 : position + 27 + data[position + 26]]
        body = position + 27 + len(segments)
        for length in segments if data[position + 14 : position + 18] == first_stream else ():
            if complete_packets == 1:
                parts.append(data[body : body + length])
                size += length
            body += length
            if length < 255:
                complete_packets += 1
                if complete_packets == 2:
                    return b"".join(parts)
        position += 27 + len(segments) + sum(segments)
    return b"".join(parts)


def _comments(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each Vorbis comment (`NAME=text`). A damaged block yields the comments before the damage.

    The block has the name of the encoder, the number of comments, and the comments. Each text follows its length, and
    all numbers have four bytes (xiph.org, Vorbis I, section 5).
    """
    try:
        (encoder_length,) = struct.unpack_from("<I", body)
        (count,) = struct.unpack_from("<I", body, 4 + encoder_length)
        position = 8 + encoder_length
        for _ in range(min(count, len(body) // 4)):
            (length,) = struct.unpack_from("<I", body, position)
            name, equals, text = body[position + 4 : position + 4 + length].decode("utf-8", "replace").partition("=")
            if equals:
                yield name, text
            position += 4 + length
    except struct.error:
        return


def _user_text(body: bytes) -> tuple[str, str]:
    """Return name and text of a user text of an ID3 tag. Its first byte is the encoding, and a zero ends the name."""
    encoding = _ENCODINGS[body[0]] if body and body[0] < len(_ENCODINGS) else "latin-1"
    name, _, text = body[1:].decode(encoding, "replace").partition("\0")
    return name, text.removeprefix("\ufeff").rstrip("\0")


def _syncsafe(body: bytes) -> int:
    """Return a number that is stored with seven bits in each byte, as ID3 sizes are."""
    number = 0
    for byte in body:
        number = number << 7 | byte & 0x7F
    return number

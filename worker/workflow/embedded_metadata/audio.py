"""The texts in sounds: the ID3 tag of an MP3, and the Vorbis comments of FLAC and of Ogg with Opus, Vorbis or FLAC."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MOST = 64 * 1024 * 1024
"""Bytes of one comment packet; a longer one is no workflow."""

_COMMENT = 4
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_USERS_TEXT = (b"TXXX", b"TXX")
_PACKETS = (b"OpusTags", b"\x03vorbis")


def mp3_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Description and text of each text of the user's (`TXXX`) in the ID3 tag at the beginning."""
    if data[:3] != b"ID3" or len(data) < 10:
        return
    version, flags, size = data[3], data[5], _seven_bits(data[6:10])
    tag = data[10 : 10 + size]
    if flags & 0x80 and version < 4:
        tag = tag.replace(b"\xff\x00", b"\xff")
    place = 0
    if flags & 0x40 and version > 2:
        place = _seven_bits(tag[:4]) if version > 3 else 4 + int.from_bytes(tag[:4], "big")
    name, head = (3, 6) if version == 2 else (4, 10)
    while place + head <= len(tag) and tag[place]:
        kind, written = tag[place : place + name], tag[place + name : place + 2 * name]
        length = _seven_bits(written) if version > 3 else int.from_bytes(written, "big")
        if kind in _USERS_TEXT:
            yield _users_text(tag[place + head : place + head + length])
        place += head + length


def flac_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each comment."""
    place = 4
    while place + 4 <= len(data):
        kind, length = data[place] & 0x7F, int.from_bytes(data[place + 1 : place + 4], "big")
        if kind == _COMMENT:
            yield from _comments(data[place + 4 : place + 4 + length])
        if data[place] & 0x80:
            return
        place += 4 + length


def ogg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each comment, in the second packet of the first stream."""
    packet = _second_packet(data)
    for sign in _PACKETS:
        if packet.startswith(sign):
            yield from _comments(packet[len(sign) :])
            return
    if packet[:1] and packet[0] & 0x7F == _COMMENT:
        yield from _comments(packet[4:])


def _second_packet(data: bytes) -> bytes:
    """Put the pages together that it is spread over."""
    packet, packets, owner, place, size = list[bytes](), 0, data[14:18], 0, 0
    while data[place : place + 4] == b"OggS" and place + 27 <= len(data) and size < MOST:
        segments = data[place + 27 : place + 27 + data[place + 26]]
        body = place + 27 + len(segments)
        for length in segments if data[place + 14 : place + 18] == owner else ():
            if packets == 1:
                packet.append(data[body : body + length])
                size += length
            body += length
            if length < 255:
                packets += 1
                if packets > 1:
                    return b"".join(packet)
        place += 27 + len(segments) + sum(segments)
    return b"".join(packet)


def _comments(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        (vendor,) = struct.unpack_from("<I", body)
        (count,) = struct.unpack_from("<I", body, 4 + vendor)
        place = 8 + vendor
        for _ in range(min(count, len(body) // 4)):
            (length,) = struct.unpack_from("<I", body, place)
            name, equals, text = body[place + 4 : place + 4 + length].decode("utf-8", "replace").partition("=")
            if equals:
                yield name, text
            place += 4 + length
    except struct.error:
        return


def _users_text(body: bytes) -> tuple[str, str]:
    """A text whose first byte is its encoding; its name ends with a zero, and so may the text."""
    encoding = _ENCODINGS[body[0]] if body and body[0] < len(_ENCODINGS) else "latin-1"
    name, _, text = body[1:].decode(encoding, "replace").partition("\0")
    return name, text.removeprefix("\ufeff").rstrip("\0")


def _seven_bits(body: bytes) -> int:
    number = 0
    for byte in body:
        number = number << 7 | byte & 0x7F
    return number

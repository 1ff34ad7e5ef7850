"""A QR code as a picture of one pixel a module: a tenth of the size that its rectangles have as text."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence


def picture(points: Sequence[float]) -> str:
    """Turn black rectangles on a square grid into the address (data:) of a picture.

    `points` hold the corners of each: left, upper, right, upper, right, lower, left, lower, y pointing up.
    """
    boxes = [(points[at], points[at + 1], points[at + 2], points[at + 5]) for at in range(0, len(points), 8)]
    left, top, right = min(box[0] for box in boxes), max(box[1] for box in boxes), max(box[2] for box in boxes)
    cell = min(box[2] - box[0] for box in boxes)
    rows = [bytearray(b"\1" * round((right - left) / cell)) for _ in range(round((right - left) / cell))]
    for x0, y0, x1, y1 in boxes:
        first, last = round((x0 - left) / cell), round((x1 - left) / cell)
        for row in rows[round((top - y0) / cell) : round((top - y1) / cell)]:
            row[first:last] = bytes(last - first)
    return f"data:image/png;base64,{base64.b64encode(_png(rows)).decode('ascii')}"


def _png(rows: Sequence[bytearray]) -> bytes:
    """Write cells (0 black, 1 white) as a PNG of one bit a pixel."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

    packed = b""
    for row in rows:
        bits = "".join(map(str, row)).ljust(-(-len(row) // 8) * 8, "0")
        packed += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">LLBBBBB", len(rows[0]), len(rows), 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(packed, 9)) + chunk(b"IEND", b"")

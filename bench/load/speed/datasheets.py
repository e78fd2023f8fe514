"""What the data sheets say about the GPUs of the public measurements."""

from __future__ import annotations

from typing import NamedTuple


class DataSheet(NamedTuple):
    """Dense tensor TFLOPS in half precision with sums in single precision, and GB/s of the memory."""

    tflops: float
    gbytes: float


DATA_SHEETS = {
    "A100": DataSheet(312.0, 2039.0),
    "A100-40P": DataSheet(312.0, 1555.0),
    "ArcB70": DataSheet(160.0, 608.0),
    "B200": DataSheet(2250.0, 8000.0),
    "H100": DataSheet(989.0, 3350.0),
    "H20": DataSheet(148.0, 4000.0),
    "H200": DataSheet(989.0, 4800.0),
    "L20": DataSheet(119.5, 864.0),
    "L40S": DataSheet(362.0, 864.0),
    "RTX3060": DataSheet(25.4, 360.0),
    "RTX3070": DataSheet(40.6, 448.0),
    "RTX3080L": DataSheet(60.0, 448.0),
    "RTX3090": DataSheet(71.0, 936.0),
    "RTX3090Ti": DataSheet(80.0, 1008.0),
    "RTX4000Ada": DataSheet(107.0, 360.0),
    "RTX4070Ti": DataSheet(80.0, 504.0),
    "RTX4080": DataSheet(97.5, 717.0),
    "RTX4090": DataSheet(165.2, 1008.0),
    "RTX4090D": DataSheet(147.0, 1008.0),
    "RTX5090": DataSheet(209.5, 1792.0),
    "RTX6000Ada": DataSheet(364.0, 960.0),
}

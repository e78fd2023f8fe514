"""The part of the load bench that reads a production trace."""

from __future__ import annotations

import random
from pathlib import Path

from bench.load import production_trace

HEADER = (
    "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,negative_prompt_length,"
    "num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,num_lora"
)


def lines() -> list[str]:
    """Return requests of two models, of which one takes three times as long as its steps suggest."""
    draw = random.Random(5)
    rows = []
    for number in range(600):
        model, factor = draw.choice((("M1", 1.0), ("M2", 3.0)))
        steps, pictures = draw.choice((20, 40)), draw.choice((1, 4))
        seconds = steps * pictures * 0.2 * factor * draw.lognormvariate(0.0, 0.05)
        time = f"2024-11-15 {number // 60:02}:{number % 60:02}:00"
        rows.append(f"{time},TXT_2_IMG,SUCCEED,{seconds:.3f},G1,5,,{pictures}.0,{steps}.0,{model},0")
    failed = "2024-11-16 00:00:00,TXT_2_IMG,FAILED,,G1,5,,1.0,20.0,M1,0"
    return [HEADER, failed, *reversed(rows)]


async def test_requests_are_predicted_in_the_order_in_which_they_arrived(tmp_path: Path) -> None:
    """The learned error is near the floor, far below that of the former way, and failed requests do not count."""
    trace = tmp_path / "trace.csv"
    trace.write_text("\n".join(lines()), "utf-8")
    requests = list(production_trace.read_requests(trace))
    assert len(requests) == 600
    (row,) = (await production_trace.measure(trace)).rows
    assert row.met
    assert float(row.measured.split("%")[0]) < 20 < float(row.today.split("%")[0])


async def test_without_a_trace_the_part_is_not_run() -> None:
    """The row says that nothing was measured."""
    (row,) = (await production_trace.measure(None)).rows
    assert (row.met, row.verdict) == (None, "not run")

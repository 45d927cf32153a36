"""How a thing is timed: a warm-up until it is steady, then rounds by pytest-benchmark."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from research.training.devices import device_name

STEADY_ROUNDS = 3
"""The warm-up ends when the last so many rounds differ by less than `STEADY_SPREAD`..."""
STEADY_SPREAD = 0.05
WARM_UP_S = 3.0
"""...or after this time."""
TIMED_S = 2.0
"""Rounds are timed for about so long, within `LEAST_ROUNDS` and `MOST_ROUNDS`."""
LEAST_ROUNDS = 3
MOST_ROUNDS = 20


def rounds(benchmark: Any, quick: bool, target: Callable[[], Any], **about: Any) -> None:
    """Times `target`, and leaves with the times what a row of the record needs.

    Args:
      benchmark: pytest-benchmark's fixture.
      quick: a few rounds will do, since nobody reads the times.
      target: a round; it must wait for the device before it returns.
      about: what else goes into the record, such as `jit` and `units`, the steps in a round. A
        `first_call_s` replaces the time of the first round, where another call came before it.
    """
    device = device_name()
    is_training = "gflop" in about  # all else is not about arithmetic
    rates = [machine.matmul_gflops(device, quick)] if is_training else []
    first_call_s = timed(target)
    warm_up_s = warm_up(target, 0.0 if quick else WARM_UP_S)
    count = 2 if quick else round_count(min(warm_up_s))
    benchmark.pedantic(target, rounds=count, iterations=1, warmup_rounds=0)
    if is_training:
        rates.append(machine.matmul_gflops(device, quick))
    benchmark.extra_info.update(
        {
            "device": device,
            "first_call_s": first_call_s,
            "warm_up_s": warm_up_s,
            "matmul_gflops": max(rates, default=None),
            "load_average": machine.load_average(),
            **about,
        }
    )


def warm_up(target: Callable[[], Any], limit_s: float) -> list[float]:
    """Calls `target` until its times are steady or the limit is over; returns them in seconds."""
    times: list[float] = []
    while not times or (sum(times) < limit_s and not is_steady(times)):
        times.append(timed(target))
    return times


def is_steady(times: list[float]) -> bool:
    """Returns whether the last rounds differ by less than `STEADY_SPREAD` of their median."""
    last = times[-STEADY_ROUNDS:]
    return len(last) == STEADY_ROUNDS and max(last) - min(last) < STEADY_SPREAD * statistics.median(
        last
    )


def round_count(round_s: float) -> int:
    """Returns how many rounds of this length are timed."""
    return min(max(round(TIMED_S / round_s), LEAST_ROUNDS), MOST_ROUNDS)


def steps_in_a_round(train: Callable[[int], Any], quick: bool) -> tuple[int, float]:
    """Returns how many steps, 1 to 8, take half a second, and the seconds of the very first.

    So a round is long beside the clock's grain and the wait at its end, and there are several even
    of a step that takes seconds.

    Args:
      train: takes a number of steps, and waits for the device.
      quick: two steps will do.
    """
    first_call_s, step_s = (timed(lambda: train(1)) for _ in range(2))
    return (2 if quick else min(max(round(0.5 / step_s), 1), 8)), first_call_s


def timed(call: Callable[[], Any]) -> float:
    """Returns the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

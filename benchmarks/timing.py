"""How a thing is timed: a warm-up until times are steady, then rounds by pytest-benchmark."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from research.training.devices import device_name

STEADY_ROUNDS = 3
"""The warm-up ends when this many rounds in a row differ by less than `STEADY_SPREAD`..."""
STEADY_SPREAD = 0.05
WARM_UP_S = 3.0
"""...or after this time."""
TIMED_S = 2.0
"""Rounds are timed for about this long, but `LEAST_ROUNDS` at least and `MOST_ROUNDS` at most."""
LEAST_ROUNDS = 3
MOST_ROUNDS = 20


def rounds(benchmark: Any, quick: bool, target: Callable[[], Any], **about: Any) -> None:
    """Time `target`, and store what the record needs besides the times.

    Args:
      benchmark: the fixture of pytest-benchmark.
      quick: time two rounds only, for a try whose times do not matter.
      target: runs a round, and waits for the device before it returns.
      about: what else goes into the record, such as `jit` and `units`, the steps of a round. Give
        `first_call_s` if something was called before the first round.
    """
    device = device_name()
    is_training = "gflop" in about  # only training is compared with the rate of products
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
    """Call `target` until its times are steady or the limit is reached; return them in seconds."""
    times: list[float] = []
    while not times or (sum(times) < limit_s and not is_steady(times)):
        times.append(timed(target))
    return times


def is_steady(times: list[float]) -> bool:
    """Return whether the last rounds differ by less than `STEADY_SPREAD` of their median."""
    last = times[-STEADY_ROUNDS:]
    spread = max(last) - min(last)
    return len(last) == STEADY_ROUNDS and spread < STEADY_SPREAD * statistics.median(last)


def round_count(round_s: float) -> int:
    """Return how many rounds of this length to time."""
    return min(max(round(TIMED_S / round_s), LEAST_ROUNDS), MOST_ROUNDS)


def steps_in_a_round(train: Callable[[int], Any], quick: bool) -> tuple[int, float]:
    """Return how many steps, 1 to 8, take half a second, and the seconds of the very first step.

    A round of this length is long compared with the resolution of the clock and with the wait at
    its end. Even if a step takes seconds, there are several rounds.

    Args:
      train: takes a number of steps, and waits for the device.
      quick: use two steps, for a try whose times do not matter.
    """
    first_call_s, step_s = (timed(lambda: train(1)) for _ in range(2))
    return (2 if quick else min(max(round(0.5 / step_s), 1), 8)), first_call_s


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

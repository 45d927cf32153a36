"""How a thing is timed: a warm-up until times are steady, then rounds by pytest-benchmark."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from benchmarks.effort import Effort
from research.training.devices import device_name

STEADY_ROUNDS = 3
"""The warm-up ends when this many rounds in a row differ by less than `STEADY_SPREAD`..."""
STEADY_SPREAD = 0.05
"""...of their median, or after the time that the effort allows."""
STEPS_S = 0.5
"""A round of single steps takes about this long."""
PROBE_STEPS = 8
"""Steps that tell how long an epoch takes. Over fewer, a pause of `model.fit` would count more."""


def rounds(benchmark: Any, effort: Effort, target: Callable[[], Any], **about: Any) -> None:
    """Time `target`, and store what the record needs besides the times.

    Args:
      benchmark: the fixture of pytest-benchmark.
      effort: how long to time it.
      target: runs a round, and waits for the device before it returns.
      about: what else goes into the record, such as `jit` and `units`, the steps of a round. Give
        `first_call_s` if something was called before the first round.
    """
    device = device_name()
    is_training = "gflop" in about  # only training is compared with the rate of products
    rate = machine.matmul_gflops if effort.sees_drift else _rate_of_process
    rates = [rate(device, effort.is_tiny)] if is_training else []
    if about.get("precision") == "mixed_bfloat16":
        about["bfloat16_gflops"] = machine.matmul_gflops(device, effort.is_tiny, "bfloat16")
    if "first_call_s" not in about:
        about["first_call_s"] = timed(target)
    warm_up_s = warm_up(target, effort.warm_up_s)
    count = round_count(min(warm_up_s), effort)
    benchmark.pedantic(target, rounds=count, iterations=1, warmup_rounds=0)
    if is_training and effort.sees_drift:
        rates.append(rate(device, effort.is_tiny))
    benchmark.extra_info.update(
        {
            "device": device,
            "warm_up_s": warm_up_s,
            "matmul_gflops": max(rates, default=None),
            "load_average": machine.load_average(),
            **about,
        }
    )


@functools.cache
def _rate_of_process(device: str, is_tiny: bool) -> float:
    """Return the rate of float32 products, which is measured once in a process."""
    return machine.matmul_gflops(device, is_tiny)


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


def round_count(round_s: float, effort: Effort) -> int:
    """Return how many rounds of this length to time."""
    return min(max(round(effort.timed_s / round_s), effort.least_rounds), effort.most_rounds)


def steps_in_a_round(
    train: Callable[[int], Any], most: int, round_s: float = STEPS_S, probe: int = 1
) -> tuple[int, float]:
    """Return how many steps a round has, and the seconds of the very first step.

    A round of half a second is long compared with the resolution of the clock and with the wait at
    its end. Even if a step takes seconds, there are several rounds.

    Args:
      train: takes a number of steps, and waits for the device.
      most: the largest number of steps; the least is 1.
      round_s: how long a round of fewer steps is, about.
      probe: steps that are timed to find out.
    """
    first_call_s = timed(lambda: train(1))
    step_s = timed(lambda: train(probe)) / probe
    return min(max(round(round_s / step_s), 1), most), first_call_s


def steps_in_an_epoch(train: Callable[[int], Any], steps: int, effort: Effort) -> tuple[int, float]:
    """Return the steps of an epoch, or fewer if they are slow, and the seconds of the first step.

    Args:
      train: runs an epoch of a number of steps, and waits for the device.
      steps: of a whole epoch.
      effort: how long an epoch may take.
    """
    return steps_in_a_round(train, steps, effort.epoch_s, min(steps, PROBE_STEPS))


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

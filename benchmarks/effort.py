"""How much time a benchmark may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How long a subject is timed in one process.

    Attributes:
      warm_up_s: the warm-up ends after this time.
      timed_s: rounds are timed for about this long...
      least_rounds: ...but so many at least...
      most_rounds: ...and so many at most.
      epoch_s: an epoch that takes longer is cut, so that a slow processor cannot make a subject
        take many minutes.
      sees_drift: whether the rate of matrix products is measured before and after the rounds, and
        not once in a process. Each time takes about a second.
      is_tiny: whether sizes are tiny too, and times mean nothing.
    """

    warm_up_s: float
    timed_s: float
    least_rounds: int
    most_rounds: int
    epoch_s: float
    sees_drift: bool = False
    is_tiny: bool = False


EFFORTS = {
    # In two processes a row has 6 rounds or more.
    "full": Effort(
        warm_up_s=2, timed_s=2, least_rounds=3, most_rounds=20, epoch_s=8, sees_drift=True
    ),
    # A size has one process, and there are many.
    "point": Effort(warm_up_s=0.5, timed_s=1, least_rounds=4, most_rounds=10, epoch_s=0.8),
    # In one process a row has 5 rounds or more, enough for quartiles, and takes 15 seconds.
    "quick": Effort(warm_up_s=0.5, timed_s=1, least_rounds=5, most_rounds=10, epoch_s=1.5),
    "tiny": Effort(
        warm_up_s=0, timed_s=0, least_rounds=2, most_rounds=2, epoch_s=1.5, is_tiny=True
    ),
}

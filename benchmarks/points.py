"""The sizes at which the suite compares backends: one factor at a time, and what may interact."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Point:
    """The sizes of one comparison.

    Attributes:
      model: a key of `research.models.registry.MODELS`.
      batch_size: examples of a step.
      sequence_length: tokens of a text.
      embedding_dim: of the word vectors, which are random unless it is 50.
      threads: for every library; None for as many as there are cores.
    """

    model: str = "tutorial"
    batch_size: int = 128
    sequence_length: int = 200
    embedding_dim: int = 50
    threads: int | None = None

    def options(self) -> list[str]:
        """Return the options of pytest that set these sizes, without the threads."""
        sizes = {name: value for name, value in asdict(self).items() if name != "threads"}
        return [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]

    def title(self) -> str:
        """Return how the sizes differ from those of `BASE`, for people."""
        given, base = asdict(self), asdict(BASE)
        changed = [
            f"{name.replace('_', ' ')} {value}"
            for name, value in given.items()
            if value != base[name]
        ]
        return ", ".join(changed) or "base"


BASE = Point()

_KIM = replace(BASE, model="kim")

DESIGN: dict[Point, tuple[str, ...]] = {
    BASE: ("batch_size", "sequence_length", "embedding_dim", "model", "threads"),
    replace(BASE, batch_size=32): ("batch_size",),
    replace(BASE, batch_size=512): ("batch_size",),
    replace(BASE, sequence_length=800): ("sequence_length",),
    replace(BASE, embedding_dim=100): ("embedding_dim",),
    replace(BASE, embedding_dim=300): ("embedding_dim",),
    replace(BASE, threads=1): ("threads",),
    _KIM: ("model",),
    replace(BASE, model="wide-deep"): ("model",),
    # The tutorial's convolutions need 149 tokens, so short texts are shown with another network.
    replace(_KIM, sequence_length=100): ("interaction",),
    # A step with little work, where the time between operations counts most.
    replace(BASE, batch_size=32, threads=1): ("interaction",),
    # As many tokens a step as the base: does length cost more than texts?
    replace(BASE, batch_size=32, sequence_length=800): ("interaction",),
}
"""Each point -> the axes that it lies on. "interaction": two sizes differ from the base's."""

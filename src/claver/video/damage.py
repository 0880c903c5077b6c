"""What is wrong with a video file, as far as a decoder can know: said of the frames that an answer was made of."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Damage:
    """Known damage of a video, or of the frames that were used of it. There is no such object for a sound one.

    Attributes:
        share: of the frames used, the part that the decoder concealed or that inherit concealed parts, in [0, 1].
        present: the part of the declared length that is there, in [0, 1); None when it is all there or not declared.
        cause: the first sign of damage in words.
    """

    share: float = 0.0
    present: float | None = None
    cause: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"{self.share:.0%} of the frames used"] if self.share else []
        parts += [f"truncated at {self.present:.0%}"] if self.present is not None else []
        return ", ".join(parts) or self.cause

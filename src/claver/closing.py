"""What is open as long as a `with` block."""

from __future__ import annotations

from typing import Self


class Closing:
    """Closed by the end of a `with` block, whatever ends it."""

    def close(self) -> None:
        """Release what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

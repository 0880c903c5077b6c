"""The same jobs on many machines: actors of Ray that own the model, and results as Parquet parts (extra `scale`).

The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.scale.actors import ActorPool
    from claver.scale.cluster import Actors, Cluster
    from claver.scale.parts import Parts

_HOME = {"ActorPool": "actors", "Actors": "cluster", "Cluster": "cluster", "Parts": "parts"}

__all__ = ["ActorPool", "Actors", "Cluster", "Parts"]

__getattr__ = lazy_names(__name__, _HOME)

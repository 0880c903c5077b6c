"""What a model costs: parameters, multiply-adds counted operator by operator, time and memory."""

from __future__ import annotations

from claver.profile.counting import Counts, count, fake_model, parameters
from claver.profile.report import Profile, profile

__all__ = ["Counts", "Profile", "count", "fake_model", "parameters", "profile"]

"""Models as graphs that run elsewhere: ONNX or `torch.export` archives, with what else a recogniser needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claver.lazy import lazy_names

if TYPE_CHECKING:
    from claver.export.writing import ExportReport, export_model
    from claver.models.exported.model import ExportedModel

_HOME = {"ExportReport": "export.writing", "ExportedModel": "models.exported.model", "export_model": "export.writing"}

__all__ = ["ExportReport", "ExportedModel", "export_model"]

__getattr__ = lazy_names("claver", _HOME)

"""A graph of ONNX as a function of tensors, run by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from claver.errors import CheckpointError, ClaverError


def onnxruntime_module() -> Any:
    """The package onnxruntime.

    Raises:
        ClaverError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ClaverError("an exported model needs onnxruntime: pip install 'claver[export]'") from None
    return onnxruntime


class Session:
    """A graph that is loaded.

    Attributes:
        path: its file.
        inputs: names of what goes in.
        outputs: names of what comes out.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Load a graph.

        Args:
            path: its file.
            threads: how many compute; as many as PyTorch uses if None.

        Raises:
            CheckpointError: it is no graph that onnxruntime can run.
            ClaverError: onnxruntime is not installed.
        """
        library = onnxruntime_module()
        options = library.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads() if threads is None else threads
        options.log_severity_level = 3  # what is no error is not for the person at the keyboard
        # Threads that wait by running keep the processor from others: beside other work it took 1.5 to 2 times as long.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common ancestor but this
            raise CheckpointError(f"{path} cannot be run by onnxruntime: {_first_line(error)}") from error
        self.path = path
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self.outputs = tuple(one.name for one in self._session.get_outputs())

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """What the graph gives of its inputs, in their order.

        Raises:
            ClaverError: it does not take them.
        """
        given = {name: x.detach().cpu().numpy() for name, x in zip(self.inputs, inputs, strict=True)}
        try:
            found = self._session.run(None, given)
        except Exception as error:
            shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in given.items())
            raise ClaverError(f"{self.path.name} does not take {shapes}: {_first_line(error)}") from error
        return [torch.from_numpy(x) for x in found]


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

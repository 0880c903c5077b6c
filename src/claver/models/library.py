"""Models of `transformers` as parts of ours: made from plain settings, by classes that this project names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from claver.errors import ClaverError
from claver.models.config import MOST_LAYERS
from claver.models.hosting import use_attention
from claver.models.shapes import is_uninitialized

_OLDEST = (5, 0)
_IGNORED = (
    *("attn_implementation", "experts_implementation", "auto_map", "quantization_config", "dtype", "torch_dtype"),
    *("output_attentions", "output_hidden_states", "return_dict", "use_cache", "architectures", "transformers_version"),
    *("id2label", "label2id", "num_labels", "problem_type"),
)
"""Settings that say nothing of how a tower computes; some of them have transformers fetch code, or change weights."""


def library() -> Any:
    """The package.

    Raises:
        ClaverError: it is not installed, or too old.
    """
    try:
        import transformers
    except ImportError as error:
        raise ClaverError("this model needs the package transformers; pip install 'claver[hf]'") from error
    if tuple(int(part) for part in transformers.__version__.split(".")[:2]) < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        raise ClaverError(
            f"this model needs transformers {needed} or later, not {transformers.__version__}; "
            "pip install -U 'claver[hf]'"
        )
    return transformers


def model_class(name: str) -> Any:
    """A class of models of the package.

    Raises:
        ClaverError: the one that is installed does not have it.
    """
    transformers = library()
    if not hasattr(transformers, name):
        told = f"transformers {transformers.__version__} has no {name}"
        raise ClaverError(f"{told}, which this model needs; pip install -U 'claver[hf]'")
    return getattr(transformers, name)


def plain_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a transformers config, and of the configs within it, says how a tower computes."""
    return {key: value for key, value in _computing(values).items() if value is not None}


def _computing(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _computing(one) for key, one in value.items() if not (str(key).startswith("_") or key in _IGNORED)}


def made_config(name: str, settings: Mapping[str, Any]) -> Any:
    """The config of a class of models.

    Raises:
        ClaverError: settings that transformers does not take, or more layers than any model has.
    """
    kind, plain = model_class(name).config_class, plain_settings(settings)
    _require_layers(plain)
    try:
        with quiet():
            return kind(**plain)
    except Exception as error:  # whatever its checks raise
        raise ClaverError(f"{kind.__name__} refuses its settings: {' '.join(str(error).split())}") from error


def _require_layers(values: Mapping[str, Any]) -> None:
    """Layers are made one by one, on whatever device: too many of them would never end."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _require_layers(value)
        elif str(key).endswith("layers") and type(value) is int and value > MOST_LAYERS:
            raise ClaverError(f"{key} is {value}; no model has more than {MOST_LAYERS}")


def hosted_model(name: str, settings: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Any:
    """A model with random weights, whose attention can be listened to.

    Args:
        name: of its class.
        settings: of its config.
        options: of its class.

    Raises:
        ClaverError: settings that transformers does not take.
    """
    config = made_config(name, settings)
    use_attention(config)
    return made_model(name, config, options)


def made_model(name: str, config: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A model with random weights, on whatever device is set; arguments and errors as of `hosted_model`."""
    from transformers.initialization import no_init_weights

    try:
        with quiet(), no_init_weights() if is_uninitialized() else nullcontext():
            return model_class(name)(config, **(options or {}))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise ClaverError(f"{name} cannot be made: {' '.join(str(error).split())}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Within this context the library shows no progress and tells of nothing but errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

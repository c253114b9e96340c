"""The strategy that the settings name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from nightdesk_core.models.pipeline import Pipeline
from nightdesk_core.settings import SettingsError


def load_pipeline(dotted: str, document: Mapping[str, Any]) -> Pipeline[Any, Any]:
    """Return the strategy that `module:Class` names. Raises `SettingsError` where there is none."""
    module_name, _, class_name = dotted.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise SettingsError("retrain.pipeline", [f"{dotted} cannot be loaded: {error}"]) from error
    pipeline: Pipeline[Any, Any] = kind.from_settings(document)
    return pipeline

"""Where the static configuration lies: beside the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

from nightdesk_core.errors import NightdeskError


class AssetsError(NightdeskError):
    """The static configuration is not where an installation or a checkout has it."""


def assets_folder() -> Path:
    """Return the folder that holds `prometheus`, `alertmanager` and `grafana`.

    Raises `AssetsError` where the installation lacks them.
    """
    here = Path(__file__).resolve().parent
    candidates = (here / "assets", here.parents[1])
    for folder in candidates:
        if (folder / "prometheus" / "prometheus.yml").is_file():
            return folder
    raise AssetsError(
        f"neither {candidates[0]} nor {candidates[1]} holds prometheus/prometheus.yml; install nightdesk again"
    )

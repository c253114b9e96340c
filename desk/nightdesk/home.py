"""What lies in a bot's home, as the settings say where: state folder, models, audit log, requests. Loads no numbers."""

from __future__ import annotations

import grp
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger
from nightdesk_core.audit import AuditHead, AuditLog
from nightdesk_core.clock import system_clock
from nightdesk_core.files.durable import forget_half_written
from nightdesk_core.files.permissions import tighten, tighten_outermost
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.models.requests import MERGE_SECONDS, RetrainRequests
from nightdesk_core.settings import SettingsError
from nightdesk_core.units import DAY_SECONDS
from nightdesk_exporter import StatusFile
from nightdesk_guard import KillSwitch, LostState
from nightdesk_retrain import BundleTrial

from nightdesk.passwords import login
from nightdesk.settings import Settings

if TYPE_CHECKING:
    from nightdesk_retrain import Schedule

_FOLDERS = ("life", "logs", "run", "rendered", "old", "numba", "prometheus", "alertmanager", "pushgateway", "grafana")
"""What else of ours lies in home, beside what the settings name: home itself may hold other things of a person's."""


def state_dir(settings: Settings) -> Path:
    """Return where journal, kill switch, audit log and the job's memory lie."""
    return settings.path(settings.bot.state_dir)


def close_to_others(settings: Settings) -> None:
    """Take from other users what they may do with what lies in home, and open it to readers of `bot.group`.

    Raises `SettingsError` where there is no such group.
    """
    group = readers_group(settings)
    chosen = (settings.bot.state_dir, settings.bot.models_dir, settings.trendbot.data_dir, settings.sandbox.state_dir)
    tighten_outermost(settings.home, group=group)
    folders = {*map(settings.path, chosen), *(settings.home / name for name in _FOLDERS)} - {settings.home}
    if changed := sum(tighten(folder, group=group) for folder in folders):
        logger.warning("{} files and folders in {} were open to other users; now none is", changed, settings.home)


def readers_group(settings: Settings) -> int | None:
    """Return the number of `bot.group`, `None` for none. Raises `SettingsError` where there is no such group."""
    name = settings.bot.group
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsError("bot.group", [f"this machine has no group {name}; make it (groupadd {name})"]) from None


def tidy(settings: Settings) -> None:
    """Remove what processes that were killed amid a write have left half-written."""
    folders = {
        state_dir(settings),
        settings.path(settings.bot.models_dir),
        settings.path(settings.operations.status_file_path).parent,
        settings.path(settings.retrain.textfile_dir),
        settings.path(settings.sandbox.state_dir),
    }
    for folder in folders:
        forget_half_written(folder, now=system_clock())


def registry(settings: Settings) -> ModelRegistry:
    """Return the model registry. Its bundles are tried by the strategy that the settings name."""
    models = settings.path(settings.bot.models_dir)
    trial = BundleTrial(settings.retrain.pipeline, lambda: settings.model_dump(mode="json"), folder=models / ".trials")
    return ModelRegistry(models, trial=trial)


def audit_log(settings: Settings) -> AuditLog:
    """Return the audit log."""
    return AuditLog(state_dir(settings) / "audit.jsonl")


def audit_anchors(settings: Settings) -> tuple[AuditHead, ...]:
    """Return the heads of the audit log that bot and job have noted in the status file."""
    found = []
    for section in status_file(settings).read().values():
        noted = section.get("audit") if isinstance(section, dict) else None
        if isinstance(noted, dict) and type(noted.get("length")) is int and isinstance(noted.get("digest"), str):
            found.append(AuditHead(noted["length"], noted["digest"]))
    return tuple(found)


def retrain_requests(settings: Settings) -> RetrainRequests:
    """Return what asks for a retrain."""
    return RetrainRequests(state_dir(settings), audit_log(settings), merge_seconds=settings.scale.limit(MERGE_SECONDS))


def status_file(settings: Settings) -> StatusFile:
    """Return the status file."""
    return StatusFile(settings.path(settings.operations.status_file_path))


def lost_state(settings: Settings) -> LostState:
    """Return the loss of the bot's state, where there was one."""
    return LostState(state_dir(settings))


def kill_switch(settings: Settings) -> KillSwitch:
    """Return the bot's kill switch."""
    return KillSwitch(state_dir(settings))


def schedule(settings: Settings) -> Schedule:
    """Return what looks whether a retrain is due."""
    from nightdesk_retrain import Schedule

    operations, scale = settings.operations, settings.scale
    return Schedule(
        state_dir=state_dir(settings),
        requests=retrain_requests(settings),
        registry=registry(settings),
        bot=settings.bot.name,
        gateway=settings.address("pushgateway"),
        gateway_login=login(settings, "pushgateway"),
        textfile_dir=settings.path(settings.retrain.textfile_dir),
        interval_seconds=scale.limit(operations.model_rotation.retrain_frequency_days * DAY_SECONDS),
        model_age_seconds=scale.limit(operations.limits.model_age_days * DAY_SECONDS),
    )

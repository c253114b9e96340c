"""Commands for the model registry: what there is, what each model is worth, and which one trades."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from nightdesk_core.clock import iso
from nightdesk_core.errors import NightdeskError
from nightdesk_core.files import stored
from nightdesk_core.files.json_text import read_json
from nightdesk_core.files.reader import InputError, MissingInputError
from nightdesk_core.models.bundle import BundleError, Manifest
from nightdesk_core.models.champion import Champion
from nightdesk_core.models.registry import ModelRegistry
from nightdesk_core.units import DAY_SECONDS

from nightdesk import home
from nightdesk.cli.choice import actor, load_settings
from nightdesk.terminal import say

app = typer.Typer(help="The model registry.", no_args_is_help=True)

Version = Annotated[str | None, typer.Argument(help="A version as `models list` prints it; the champion by default.")]


@app.command("list")
def list_models(context: typer.Context) -> None:
    """List the model bundles, oldest first; the champion, and those that were before it, are marked."""
    registry = home.registry(load_settings(context))
    champion = registry.champion()
    for manifest in registry.manifests():
        times = f"trained {iso(manifest.trained_at)}  data until {iso(manifest.data_end)}"
        say(f"{manifest.version}  {times}  {_mark(manifest.version, champion)}".rstrip())


@app.command()
def show(context: typer.Context, version: Version = None) -> None:
    """Show what a model was trained on, what its hold-out showed, and what the gate said of it."""
    registry = home.registry(load_settings(context))
    chosen = _chosen(registry, version)
    for key, value in _facts(registry, chosen).items():
        say(f"{key:28} {value}")


@app.command()
def diff(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="A version.")],
    second: Annotated[str | None, typer.Argument(help="Another; the champion by default.")] = None,
) -> None:
    """Show in what two models differ: data, hold-out, verdict and settings.

    Example: [bold]nightdesk models diff v20261101T000000Z-1a2b3c4d[/bold]
    """
    registry = home.registry(load_settings(context))
    versions = [first, _chosen(registry, second)]
    left, right = (
        {**_facts(registry, version), **_flat(_read(registry, version, "settings.json"), "settings")}
        for version in versions
    )
    for key in [*left, *(key for key in right if key not in left)]:
        if left.get(key) != right.get(key):
            say(f"{key}")
            say(f"  {versions[0]}  {left.get(key, 'absent')}")
            say(f"  {versions[1]}  {right.get(key, 'absent')}")


@app.command()
def verify(context: typer.Context, version: Version = None) -> None:
    """Hold every file of the bundles (or of one) against the hashes of its manifest. Exit code 1 where one differs."""
    registry = home.registry(load_settings(context))
    damaged = 0
    for chosen in [version] if version is not None else registry.versions():
        try:
            registry.bundle(chosen)
            say(f"ok       {chosen}")
        except BundleError as error:
            damaged += 1
            say(f"DAMAGED  {chosen}: {error.reason}")
    raise typer.Exit(1 if damaged else 0)


@app.command()
def rollback(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    to: Annotated[str | None, typer.Option("--to", help="Go back to this version, not to the one before.")] = None,
) -> None:
    """Take the champion back: the one before it trades again, from the next candle on.

    An open position keeps the model and the barriers of its entry.

    Example: [bold]nightdesk models rollback --reason "trades against the trend"[/bold]
    """
    if not reason.strip():
        raise NightdeskError("a reason is needed: say why with --reason")
    settings = load_settings(context)
    registry = home.registry(settings)
    back = registry.roll_back(_chosen(registry, None), reason.strip(), to=to)
    home.audit_log(settings).append("rolled_back", stored.plain(back), actor=actor())
    say(f"{back.version} is the champion again, {back.standing}")
    home.schedule(settings).push()


@app.command()
def prune(
    context: typer.Context,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Keep at least so many of the newest.")] = None,
    days: Annotated[float | None, typer.Option("--days", min=0, help="Keep all that are younger than this.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove old model bundles, never the champion or the one before it. The job does so by itself.

    What is left out is as the settings `retrain.keep_models` and `retrain.keep_models_days` say.
    """
    settings = load_settings(context)
    registry = home.registry(settings)
    doomed = registry.superfluous(
        keep=settings.retrain.keep_models if keep is None else keep,
        younger_than_seconds=(settings.retrain.keep_models_days if days is None else days) * DAY_SECONDS,
    )
    for version in doomed:
        say(f"{'would remove' if dry_run else 'removed'} {version}")
    if doomed and not dry_run:
        registry.remove(doomed)
        home.audit_log(settings).append("pruned", {"versions": doomed}, actor=actor())
    if not doomed:
        say("there is nothing to remove")


def _mark(version: str, champion: Champion | None) -> str:
    if champion is None:
        return ""
    if version == champion.version:
        return f"<- {champion.standing}"
    if champion.rollback is not None and version == champion.rollback.version:
        return f"taken back at {iso(champion.rollback.at)}"
    return "before it" if version in dict(champion.earlier) else ""


def _chosen(registry: ModelRegistry, version: str | None) -> str:
    if version is not None:
        try:
            registry.folder_of(version)
        except BundleError as error:
            raise NightdeskError(f"there is no model {version}; `nightdesk models list` prints them") from error
        return version
    champion = registry.champion()
    if champion is None:
        raise NightdeskError("there is no champion yet: run `nightdesk retrain --bootstrap`")
    return champion.version


def _facts(registry: ModelRegistry, version: str) -> dict[str, str]:
    """Return what a bundle says of its model, for people."""
    manifest = Manifest.read(registry.folder / version)
    facts = {
        "version": version,
        "standing": _mark(version, registry.champion()).removeprefix("<- ") or "not in use",
        "strategy": manifest.strategy,
        "trained_at": iso(manifest.trained_at),
        "training": f"{iso(manifest.train_start)} to {iso(manifest.train_end)}",
        "data_end": iso(manifest.data_end),
        "data_fingerprint": manifest.data_fingerprint,
    }
    facts |= _flat(_read(registry, version, "data.json").get("summary", {}), "data")
    facts |= _flat(_read(registry, version, "backtest.json"), "hold-out")
    verdict = _read(registry, version, "evaluation.json")
    facts |= {key: str(verdict[key]) for key in ("verdict", "decision", "reason", "trigger") if key in verdict}
    left = verdict.get("deflated_sharpe")
    if left is not None:
        names = ("probability", "benchmark", "trials", "effective_trials")
        facts |= _flat({name: left[name] for name in names}, "deflated_sharpe")
    guard = _read(registry, version, "guard.json")
    if guard:
        facts["guard limits"] = str(guard["limits"]["source"])
    return facts


def _flat(values: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return nested values under dotted names."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.{key}")
        else:
            found[f"{name}.{key}"] = f"{value:.6g}" if isinstance(value, float) else str(value)
    return found


def _read(registry: ModelRegistry, version: str, name: str) -> dict[str, Any]:
    """Return a JSON file of a bundle; nothing where the bundle has none."""
    path: Path = registry.folder / version / name
    try:
        found = read_json(path)
    except MissingInputError:
        return {}
    except InputError as error:
        raise BundleError(path.parent, f"{name} {error.reason}") from error
    if not isinstance(found, dict):
        raise BundleError(path.parent, f"{name} holds no record")
    return found

"""Commands for the audit log: is it whole, would the gate rule the same again, and which model traded when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from nightdesk_core.audit import AuditEntry, AuditError
from nightdesk_core.clock import WallTime, from_iso, iso
from nightdesk_core.errors import NightdeskError

from nightdesk import home
from nightdesk.cli.choice import actor, load_settings
from nightdesk.settings import Settings
from nightdesk.terminal import message, say

app = typer.Typer(help="The audit log.", no_args_is_help=True)

_MOVES = ("rotated", "rolled_back", "probation_stood")


@app.command()
def verify(context: typer.Context) -> None:
    """Check the chain of hashes, and that it holds every head that bot and job have noted in the status file.

    An edited, removed or moved line shows. A tail that was cut off, or a log that is gone, shows where it was noted
    before, beside the log and in the status file: it does not where somebody changed both as well; then compare with
    `tradebot_audit_entries` in Prometheus.
    """
    settings = load_settings(context)
    anchors, log = home.audit_anchors(settings), home.audit_log(settings)
    try:
        head = log.verify((*log.anchors, *anchors))
    except AuditError:
        message("`nightdesk audit renew --reason ...` begins a new log where this one cannot be put right")
        raise
    say(f"{head.length} entries, intact; head {head.digest}")
    noted = max((anchor.length for anchor in anchors), default=0)
    say(f"the first {noted} are anchored in the status file; a cut of what came after them would not show")


@app.command()
def renew(
    context: typer.Context, reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")]
) -> None:
    """Begin a new audit log in the place of one that is gone, cut, replaced or broken, so that it takes entries again.

    What is left of it is kept beside it, and the first entry says who began the new one, why, and what is missing.

    Example: [bold]nightdesk audit renew --reason "the disk was restored from Sunday's backup"[/bold]
    """
    settings = load_settings(context)
    log = home.audit_log(settings)
    log.renew(reason, actor=actor(), anchors=home.audit_anchors(settings))
    say(f"{log.path} begins anew; its first entry says why")


@app.command()
def replay(
    context: typer.Context,
    verdict: Annotated[str, typer.Argument(metavar="ID", help="A model's version, or the number of an entry.")],
) -> None:
    """Recompute a verdict from the recorded returns, trades and settings, and compare it with what was recorded.

    Exit code 1 where it differs. Nothing is fitted, and no exchange is asked.

    Example: [bold]nightdesk audit replay v20261101T000000Z-1a2b3c4d[/bold]
    """
    from nightdesk_retrain import replay_verdict

    settings = load_settings(context)
    entry = _verdict(settings, verdict)
    recorded = entry.details
    found = replay_verdict(home.registry(settings).bundle(recorded["version"]), recorded)
    say(f"entry {entry.seq}, {entry.time}, {recorded['version']}: {found.ruling.verdict}")
    for criterion in found.ruling.criteria:
        value = "not measured" if criterion.value is None else f"{criterion.value:.6g}"
        met = "met   " if criterion.passed else "missed"
        say(f"  {met}  {criterion.name:30} {value:>14}  {criterion.wording}")
    for difference in found.differences:
        say(f"DIFFERS  {difference}")
    if not found.differences:
        say("as it was recorded, to the last digit")
    raise typer.Exit(1 if found.differences else 0)


@app.command()
def explain(
    context: typer.Context,
    verdict: Annotated[str, typer.Argument(metavar="ID", help="A model's version, or the number of an entry.")],
) -> None:
    """Say what a verdict was judged on, what each of its criteria asks, and what followed.

    Example: [bold]nightdesk audit explain v20261101T000000Z-1a2b3c4d[/bold]
    """
    from nightdesk_retrain import explain_verdict

    entry = _verdict(load_settings(context), verdict)
    say(f"entry {entry.seq}, {entry.time}, {entry.details['version']}")
    for line in explain_verdict(entry.details):
        say(line)


@app.command()
def champion(
    context: typer.Context,
    at: Annotated[str | None, typer.Option("--at", help="Wall time, UTC: 2026-11-01T12:00; now by default.")] = None,
) -> None:
    """Say which model traded at a time, in what standing, since when and why, and on what data it was trained."""
    from nightdesk.cli.tables import written_time

    settings = load_settings(context)
    until = WallTime(written_time(at)) if at is not None else None
    move, verdicts = None, {}
    for entry in home.audit_log(settings).entries():
        if entry.event == "verdict":
            verdicts[entry.details["version"]] = entry.details
        if entry.event in _MOVES and (until is None or WallTime(from_iso(entry.time)) <= until):
            move = entry
    if move is None:
        raise NightdeskError("no model was champion then, as far as the audit log knows")
    pointer = move.details
    since = f"since {move.time} (entry {move.seq}, {move.event})"
    say(f"{pointer['version']}, {pointer['standing']}, {since}")
    if move.event == "rolled_back":
        taken = pointer["rollback"]
        say(f"it came back for {taken['version']}: {taken['reason']}")
    _say_verdict(verdicts.get(pointer["version"]))


def _say_verdict(recorded: Mapping[str, Any] | None) -> None:
    if recorded is None:
        say("the audit log holds no verdict on it")
        return
    data, training = recorded["data"], recorded["training"]
    say(f"verdict: {recorded['verdict']}, trigger {recorded['trigger']}: {recorded['reason']}")
    say(f"trained on {iso(training['start'])} to {iso(training['end'])}, judged until {iso(data['end'])}")
    say(f"data: {data['rows']} rows, fingerprint {data['fingerprint']}")


def _verdict(settings: Settings, wanted: str) -> AuditEntry:
    for entry in home.audit_log(settings).entries():
        if entry.event == "verdict" and wanted in (str(entry.seq), entry.details["version"]):
            return entry
    raise NightdeskError(f"the audit log holds no verdict {wanted}; `nightdesk models list` prints the versions")

"""A mail that some of its recipients have: the others are tried again, and nobody gets it twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from nightdesk_alerts import Alerting, Mail
from nightdesk_alerts.delivery.outcome import Delivered, DeliveryOutcome, Later, Partly, Refused
from nightdesk_alerts.delivery.web import Web

from tests.alerts.conftest import PAUSED, StartSender, free_port, until
from tests.alerts.ledger_desk import DIRECT, Desk
from tests.alerts.test_spool import text_of
from tests.alerts.test_wording import notification

A, B, C = "a@example.org", "b@example.org", "c@example.org"


class Post:
    """A mail server that answers `refusals` to recipients, and keeps who got what."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.refusals: dict[str, str] = {}
        self.got: list[tuple[str, ...]] = []
        self.asked = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked += 1
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.got.append(tuple(envelope.rcpt_tos))
        return "250 OK"

    def mail(self, *recipients: str) -> Mail:
        return Mail(server="127.0.0.1", port=self.port, recipients=recipients, require_tls=False)

    def send(self, *recipients: str, only: tuple[str, ...] = ()) -> DeliveryOutcome:
        told = replace(notification("firing"), only=only)
        return self.mail(*recipients).deliver(told, Web(timeout_seconds=2))


@pytest.fixture
def post() -> Iterator[Post]:
    found = Post(free_port())
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    yield found
    controller.stop()


def test_who_is_refused_for_a_while_is_left_and_who_is_for_good_is_not(post: Post) -> None:
    post.refusals = {B: "450 4.2.0 Greylisted", C: "550 5.1.1 No such user"}
    assert post.send(A, B, C) == Partly((B,))
    assert post.send(A, B, C, only=(B,)) == Partly((B,))
    post.refusals = {}
    assert post.send(A, B, C, only=(B,)) == Delivered()
    assert post.got == [(A,), (B,)]


def test_who_is_left_and_then_refused_for_good_or_no_recipient_any_more_is_done_with(post: Post) -> None:
    post.refusals = {B: "550 5.1.1 No such user"}
    assert post.send(A, B, only=(B,)) == Delivered()
    assert post.send(A, only=(B,)) == Delivered()
    assert post.got == []


def test_a_server_that_hangs_up_at_a_recipient_has_given_nobody_the_mail(post: Post) -> None:
    post.refusals = {A: "421 4.3.2 Shutting down"}
    assert isinstance(post.send(A, B), Later)
    assert post.send(A, B, C, only=(A, B)) == Partly((A, B))
    assert post.got == []


def test_where_nobody_is_taken_it_is_later_or_never_for_all(post: Post) -> None:
    post.refusals = {A: "450 4.2.0 Greylisted", B: "550 5.1.1 No such user"}
    assert isinstance(post.send(A, B), Later)
    post.refusals = {A: "550 5.1.1 No", B: "550 5.1.1 No"}
    assert isinstance(post.send(A, B), Refused)


def test_a_recipient_who_is_greylisted_gets_it_later_and_the_other_once(
    post: Post, start: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightdesk_alerts.delivery.entry._FIRST_LEFT_SECONDS", 0.1)
    post.refusals = {B: "450 4.2.0 Greylisted"}
    sender = start(Alerting(mail=post.mail(A, B)))
    sender.send_alert("X", **PAUSED)
    until(lambda: post.asked >= 4, "a second attempt")
    sender.send_alert("Other", **PAUSED)
    until(lambda: post.got.count((A,)) == 2, "the other alert, which waits for nobody")
    post.refusals = {}
    until(lambda: post.got.count((B,)) == 2, "the recipient who was refused")
    assert sorted(post.got) == [(A,), (A,), (B,), (B,)]


def test_who_is_left_survives_a_restart(
    post: Post, start: StartSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool.json"
    post.refusals = {B: "450 4.2.0 Greylisted"}
    sender = start(Alerting(mail=post.mail(A, B)), spool=spool)
    sender.send_alert("X", **PAUSED)
    until(lambda: f'"{B}"' in text_of(spool), "the spool to know who is left")
    sender.__exit__(None, None, None)
    post.refusals = {}
    start(Alerting(mail=post.mail(A, B)), spool=spool).send_alert("X", **PAUSED)
    until(lambda: (B,) in post.got, "the recipient who was refused")
    assert post.got == [(A,), (B,)]


class Letters:
    """A ledger whose channel has two recipients, one of whom is refused for a while."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.greylisted = True
        self.sent: list[tuple[str, str]] = []
        """To whom, and what."""

    def pass_time(self, seconds: float) -> None:
        end = self.desk.tick + seconds
        while self.desk.tick < end:
            self.desk.tick += 10
            self.desk.ledger.tidy(self.desk.now)
            while (job := self.desk.begin(DIRECT)) is not None:
                to = [each for each in (A, B) if not job.notification.only or each in job.notification.only]
                got = [each for each in to if each == A or not self.greylisted]
                self.sent += [(each, job.notification.status) for each in got]
                left = tuple(each for each in to if each not in got)
                self.desk.ledger.done(job, Partly(left) if left else Delivered(), self.desk.now)

    def of(self, whom: str) -> list[str]:
        return [status for to, status in self.sent if to == whom]


def test_the_reminder_goes_to_all_at_its_own_pace_while_one_is_left() -> None:
    letters = Letters()
    letters.desk.send("X")
    letters.pass_time(3 * 3600 + 60)
    assert letters.of(A) == ["firing"] * 4
    letters.greylisted = False
    letters.pass_time(900)
    assert letters.of(B) == ["firing"]
    letters.pass_time(3600)
    assert letters.of(A) == ["firing"] * 5
    assert letters.of(B) == ["firing"] * 2


def test_the_end_goes_to_all_and_to_who_is_left_later() -> None:
    letters = Letters()
    letters.desk.send("X")
    letters.pass_time(60)
    letters.desk.withdraw("X")
    letters.pass_time(120)
    letters.greylisted = False
    letters.pass_time(3600)
    assert letters.of(A) == ["firing", "resolved"]
    assert letters.of(B) == ["resolved"]
    letters.pass_time(7200)
    assert letters.desk.ledger.entries == {}


def test_what_gets_graver_goes_to_all() -> None:
    letters = Letters()
    letters.desk.send("X", "warning")
    letters.pass_time(10)
    letters.greylisted = False
    letters.desk.send("X", "critical")
    letters.pass_time(3000)
    assert (letters.of(A), letters.of(B)) == (["firing"] * 2, ["firing"])

"""Addresses as people write them, and that both who sends mail, the bot and Alertmanager, are given the same."""

from __future__ import annotations

import random
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from nightdesk_alerts import Mail
from nightdesk_alerts.alert import Notification, new_alert
from nightdesk_alerts.channels.mail import letter
from nightdesk_alerts.delivery.outcome import Refused
from nightdesk_alerts.delivery.web import Web
from nightdesk_alerts.mailbox import Mailbox, MailboxError, mailboxes
from nightdesk_alerts.settings import AlertSettings

SERVER = {"email_smtp_server": "smtp.example.org"}


def sent(mail: Mail, words: str = "x") -> tuple[bytes, EmailMessage]:
    """Return a mail as it goes over the wire, and as it is read."""
    labels = {"alertname": "X", "severity": "warning", "bot": words}
    alert = new_alert(labels, summary=words, description=words, lasting=True, starts_at=0)
    content = letter(Notification(alert, "firing", 0), mail).as_bytes(policy=policy.SMTP)
    read = message_from_bytes(content, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return content, read


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (['a@x.org, "B, C" <b@x.org>; c@x.org'], [("", "a@x.org"), ("B, C", "b@x.org"), ("", "c@x.org")]),
        (["a@x.org", "b@x.org;"], [("", "a@x.org"), ("", "b@x.org")]),
        ([" , ; a@x.org ;, "], [("", "a@x.org")]),
        (["<a@x.org>"], [("", "a@x.org")]),
        (["Jörg Müller <j@x.org>"], [("Jörg Müller", "j@x.org")]),
        (['"Jane \\"J\\" Doe; PhD" <j@x.org>'], [('Jane "J" Doe; PhD', "j@x.org")]),
        (["desk@bücher.example"], [("", "desk@xn--bcher-kva.example")]),
        (["Desk <desk@例え.テスト>"], [("Desk", "desk@xn--r8jz45g.xn--zckzah")]),
        (["a@x.org, A@X.ORG"], [("", "a@x.org")]),
        (["=?utf-8?q?J=C3=B6rg=2C_M?= <j@x.org>"], [("Jörg, M", "j@x.org")]),
        (["=?utf-9?q?J=ff?= <j@x.org>"], [("=?utf-9?q?J=ff?=", "j@x.org")]),
        (["a+b.c_d@localhost"], [("", "a+b.c_d@localhost")]),
    ],
)
def test_addresses_are_taken_as_people_write_them(texts: list[str], found: list[tuple[str, str]]) -> None:
    assert [(mailbox.name, mailbox.address) for mailbox in mailboxes(texts)] == found


@pytest.mark.parametrize(
    "text",
    [
        "you",
        "a@",
        "@x.org",
        "a b@x.org",
        "a@x org",
        '"a <a@x.org>',
        "a <a@x.org",
        "a a@x.org>",
        "a <a@x.org> b",
        "a@b@x.org",
        "a@x.org\nBcc: all@x.org",
        "a@x.org\r\n\r\nbody",
        "Desk\n <a@x.org>",
        "a@x..org",
        "a@-x.org",
        "a@straße.example",
        "a@" + "x" * 70 + ".org",
        "a" * 65 + "@x.org",
        "a@x.org\u202e",
        "a@x.org\x00",
    ],
)
def test_what_is_no_address_is_refused_on_one_line(text: str) -> None:
    with pytest.raises(MailboxError) as refused:
        mailboxes([text])
    assert "\n" not in str(refused.value)
    assert list(Mail(server="x", recipients=(text,)).problems())
    assert list(Mail(server="x", recipients=("a@x.org",), sender=text).problems())


def test_both_senders_are_told_of_the_same_people_in_ascii() -> None:
    settings = AlertSettings.model_validate(
        SERVER
        | {
            "email_from": "Nächtlicher Wächter <wächter@büro.example>".replace("wächter@", "desk@"),
            "email_recipients": 'a@x.org, "B, Ç" <b@x.org>; "D, E" <d@bücher.example>',
        }
    )
    (mail,) = settings.alerting().channels
    assert isinstance(mail, Mail)
    content, read = sent(mail)
    assert content.isascii()
    assert read["From"].addresses[0].display_name == "Nächtlicher Wächter"
    assert read["From"].addresses[0].addr_spec == "desk@xn--bro-hoa.example"
    people = [("", "a@x.org"), ("B, Ç", "b@x.org"), ("D, E", "d@xn--bcher-kva.example")]
    assert [one.addr_spec for one in read["To"].addresses] == [address for _, address in people]
    assert [one.display_name for one in read["To"].addresses] == ["", "B Ç", "D E"]
    # What Alertmanager is given is plain ASCII: it would write the address, too, as an encoded word.
    to, sender = mail.receiver_values()["to"], mail.global_values()["smtp_from"]
    assert (to + sender).isascii()
    assert "\n" not in to + sender
    again = message_from_bytes(f"From: {sender}\r\nTo: {to}\r\n\r\n".encode(), policy=policy.default)
    assert [(one.display_name, one.addr_spec) for one in again["To"].addresses] == people
    assert again["From"].addresses[0].display_name == "Nächtlicher Wächter"
    assert [address for _, address in getaddresses([to])] == [address for _, address in people]


def test_one_text_and_a_list_are_the_same_setting() -> None:
    one = AlertSettings.model_validate(SERVER | {"email_recipients": "a@x.org"})
    several = AlertSettings.model_validate(SERVER | {"email_recipients": ["a@x.org"]})
    assert one.alerting() == several.alerting()


def test_several_senders_and_a_name_before_the_at_that_few_servers_take_are_problems() -> None:
    assert list(Mail(server="x", recipients=("a@x.org",), sender="a@x.org, b@x.org").problems()) == [
        "email_from holds 'a@x.org, b@x.org', which is not one sender"
    ]
    assert list(Mail(server="x", recipients=("jörg@x.org",)).problems()) == [
        "email_recipients holds 'jörg@x.org': few mail servers take letters beyond ASCII before the @"
    ]


def test_whatever_is_said_a_mail_is_ascii_in_short_lines_and_reads_as_it_was_meant() -> None:
    rng = random.Random(11)
    alphabets = ("abc ", "üäß ", "日本語", "😀", "a=\t.", "\r\nBcc: x@x.org\r\n", "\u202e\x00\x1b")
    for _ in range(200):
        words = "".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.choice((1, 50, 900))))
        name = "".join(rng.choice("äb ,;\"'<日") for _ in range(rng.choice((0, 5, 60))))
        who = Mailbox(name.replace("<", "").replace('"', "").strip(" ,;'"), "a", "x.org")
        content, read = sent(Mail(server="x", recipients=(who.encoded,)), f"x{words}")
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 200
        assert b"\n" not in content.replace(b"\r\n", b"")
        assert read.keys().count("Bcc") == 0
        assert [one.addr_spec for one in read["To"].addresses] == ["a@x.org"]
        assert "  severity: warning" in read.get_content()


@pytest.mark.parametrize("recipients", [[""], [","], [" ; ", ",,"], " , "])
def test_recipients_who_are_nobody_are_said_and_neither_sent_nor_rendered(recipients: list[str] | str) -> None:
    (mail,) = (
        AlertSettings.model_validate({**SERVER, "email_recipients": recipients}).alerting(alertmanagers=()).channels
    )
    assert list(mail.problems()) == ["email_recipients holds no address, so that nobody is sent mail"]
    labels = {"alertname": "X", "severity": "warning", "bot": "b"}
    alert = new_alert(labels, summary="x", description="x", lasting=True, starts_at=0)
    outcome = mail.deliver(Notification(alert, "firing", 0), Web(timeout_seconds=1))
    assert outcome == Refused("the settings hold no address, so that nobody is sent mail")
    with pytest.raises(MailboxError, match="email_recipients holds no address"):
        mail.receiver_values()

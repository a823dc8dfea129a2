"""Messages arrive: by mail and webhook, late rather than never, once for each key."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import alerts
from kilowatch.catalog.tables import AuditEntry
from kilowatch.catalog.tables_alerts import AlertChannel
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import PC
from kilowatch.notify import courier as couriers
from kilowatch.notify.addresses import parse_networks
from kilowatch.notify.book import Attempt, Delivery
from kilowatch.notify.carriers import Carriers, Outcome, Parcel, look_where, service_of
from kilowatch.notify.courier import Courier
from kilowatch.notify.sealing import Sealer
from tests.notify.receivers import Hook, Inbox, SmtpMailer, mail_server, webhook
from tests.notify.worlds import HOUR_MS, KEY, World, until

LOOPBACK = parse_networks(["127.0.0.0/8"])
Mail = tuple[Inbox, SmtpMailer]


@pytest.fixture
def mail() -> Iterator[Mail]:
    """Run a mail server."""
    with mail_server() as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Run a webhook receiver."""
    with webhook() as running:
        yield running


@pytest.fixture
def told(tmp_path: Path, mail: Mail) -> Iterator[World]:
    """Build an organisation that can reach both."""
    made = World(tmp_path, mailer=mail[1], networks=LOOPBACK)
    yield made
    made.notifier.courier.stop()
    made.close()


def say(world: World) -> None:
    """Let one data point fall silent and the message be made."""
    world.silent(world.points[0])
    world.run(seconds=5)


def delivered(world: World, count: int = 1) -> bool:
    """Deliver what waits; tells whether so many deliveries are done."""

    def done() -> bool:
        world.notifier.courier.dispatch()
        return sum(one.state != "pending" for one in world.said()) >= count

    return until(done)


def attempted(world: World, count: int) -> bool:
    """Deliver what waits; tells whether so many attempts are over."""

    def done() -> bool:
        world.notifier.courier.dispatch()
        found = world.book.all(Attempt)
        return sum(one.outcome != "started" for one in found) >= count

    return until(done) and until(lambda: not world.notifier.courier._busy)


def test_a_mail_arrives(told: World, mail: Mail) -> None:
    """Title as subject, text as it is, to the address of the channel."""
    told.rule(channels=[told.channel("ops")])
    say(told)
    assert delivered(told)
    (recipients, text) = mail[0].mails[0]
    assert recipients == ["ops@acme.example"]
    assert "Subject: No data from Main supply" in text
    assert "The last packet came at 14:14 from gateway A." in text
    (one,) = told.said()
    (attempt,) = told.book.all(Attempt)
    assert (one.state, one.tries, attempt.outcome) == ("sent", 1, "sent")


def test_a_webhook_gets_the_facts_as_json_with_a_signature(told: World, hook: Hook) -> None:
    """Programs get numbers and names, not only a sentence, and can tell that we sent them."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url, secret="shared")])
    say(told)
    assert delivered(told)
    (body,) = hook.received
    assert body["event"] == "opened"
    assert body["data_points"][0]["name"] == "Main supply"
    assert body["text"].startswith("No data from Main supply for 7 min.")
    assert body["delivery"] == told.said()[0].key == hook.headers[0]["idempotency-key"]
    mac = hmac.new(b"shared", hook.headers[0][""].encode(), hashlib.sha256).hexdigest()
    assert hook.headers[0]["x-kilowatch-signature"] == f"sha256={mac}"


def test_apprise_carries_the_rest(told: World, hook: Hook) -> None:
    """Any of Apprise's services by its URL; here the one that posts JSON."""
    url = f"json://127.0.0.1:{hook.port}/deep/"
    told.rule(channels=[told.channel("other", "apprise", url=url)])
    say(told)
    assert delivered(told)
    assert hook.received[0]["title"] == "No data from Main supply"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_what_can_pass_is_tried_again_later(told: World, hook: Hook, status: int) -> None:
    """A receiver that is busy gets the message when it is back, the same one, once."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.answers += [(status, {})] * 2
    say(told)
    assert attempted(told, 1)
    (one,) = told.said()
    assert (one.state, one.next_ms - told.now) == ("pending", couriers.BACK_OFF_S[0] * 1000)
    told.notifier.courier.dispatch()
    assert len(told.book.all(Attempt)) == 1, "not before its time"
    told.now = one.next_ms
    assert attempted(told, 2)
    told.now += couriers.BACK_OFF_S[1] * 1000
    assert attempted(told, 3)
    assert told.said()[0].state == "sent"
    assert len(hook.received) == 1
    assert [a.reason for a in told.book.all(Attempt, "ORDER BY id")] == [
        f"The receiver answered {status}.", f"The receiver answered {status}.", "",
    ]  # fmt: skip


def test_a_receiver_says_when_to_come_back(told: World, hook: Hook) -> None:
    """Who asks for two minutes gets two minutes."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.answers.append((429, {"retry-after": "120"}))
    say(told)
    assert attempted(told, 1)
    assert told.said()[0].next_ms - told.now == 120_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 301, 302])
def test_what_cannot_pass_is_given_up_at_once(told: World, hook: Hook, status: int) -> None:
    """A wrong address is wrong an hour later too; the history says why."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.answers.append((status, {"location": "http://127.0.0.1:1/"}))
    say(told)
    assert delivered(told)
    (one,) = told.said()
    assert (one.state, one.tries) == ("failed", 1)
    assert f"answered {status}" in one.reason


@pytest.mark.parametrize(("answer", "state"), [("451 Later", "pending"), ("550 No", "failed")])
def test_a_mail_server_says_whether_a_retry_helps(
    told: World, mail: Mail, answer: str, state: str
) -> None:
    """4xx is a grey list, 5xx is a wrong address."""
    told.rule(channels=[told.channel("ops")])
    mail[0].answers.append(answer)
    say(told)
    assert attempted(told, 1)
    assert told.said()[0].state == state
    told.now += couriers.BACK_OFF_S[0] * 1000
    told.notifier.courier.dispatch()
    assert until(lambda: len(mail[0].mails) == (state == "pending"))


@pytest.mark.parametrize(("status", "state"), [(503, "pending"), (401, "failed")])
def test_the_status_is_read_from_apprises_log(
    told: World, hook: Hook, status: int, state: str
) -> None:
    """Apprise says only that it did not work; its log line has the status."""
    url = f"json://user:pa55word@127.0.0.1:{hook.port}/s3cr3t-t0ken"
    told.rule(channels=[told.channel("other", "apprise", url=url)])
    hook.answers.append((status, {}))
    say(told)
    assert attempted(told, 1)
    (one,) = told.said()
    assert one.state == state
    assert str(status) in one.reason
    assert "pa55word" not in one.reason
    assert "s3cr3t" not in one.reason


def test_a_clock_that_was_a_year_ahead_delays_nothing_when_it_is_set_back(
    told: World, hook: Hook
) -> None:
    """A machine without a battery hears the time late: what waits for next year is due now."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    told.rule("cumulated", channels=[told.channel()], quantity="pC", limit=1_000.0, unit="Wh",
              period="day")  # fmt: skip
    told.run()
    right, year_ms = told.now, 366 * 24 * HOUR_MS
    told.now += year_ms
    hook.answers.append((503, {}))
    say(told)
    assert attempted(told, 1)
    told.silent(told.points[1], last_ms=told.now)  # another outage
    told.run()
    told.now = right
    told.read(told.points[0], float("nan"), channel=PC, amount=5_000.0)
    told.run(seconds=5)
    assert delivered(told, 3)
    titles = {one.title for one in told.said() if one.state == "sent"}
    assert len(titles) == 3, titles


def test_after_a_day_it_is_given_up(told: World, hook: Hook) -> None:
    """Nobody needs to hear on Thursday what was urgent on Tuesday."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.answers += [(503, {})] * 2
    say(told)
    assert attempted(told, 1)
    told.now += 25 * HOUR_MS
    assert delivered(told)
    (one,) = told.said()
    assert (one.state, one.reason) == ("failed", "Given up after a day. The receiver answered 503.")


def test_a_channel_that_hangs_delays_no_other(told: World, hook: Hook, mail: Mail) -> None:
    """The mail is there while the webhook still keeps us waiting."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url), told.channel("ops")])
    hook.hangs = True
    say(told)
    told.notifier.courier.dispatch()
    assert until(lambda: told.said()[1].state == "sent", 5)
    assert len(mail[0].mails) == 1
    assert told.said()[0].state == "pending", "the webhook still hangs"
    hook.hang.set()
    assert until(lambda: told.said()[0].state == "sent")


def test_a_carrier_that_never_returns_is_left_behind(told: World) -> None:
    """Even a library that forgot its timeout stops its own channel only, and not for ever."""

    class Stuck(Carriers):
        def carry(self, *_arguments: object) -> Outcome:
            until(lambda: False, 30)
            return Outcome(ok=True)

    told.rule(channels=[told.channel("stuck")])
    say(told)
    stuck = Courier(
        told.book, lambda: told.notifier.engine.rules.channels, Stuck(Sealer(KEY), told.mailer),
        lambda: told.now, hard_s=0.2,
    )  # fmt: skip
    stuck.dispatch()
    assert until(lambda: told.said()[0].tries == 1, 5)
    assert until(lambda: "hangs" in told.said()[0].reason, 5)
    assert told.said()[0].state == "pending"


def test_what_waits_survives_a_restart_and_what_was_cut_off_is_sent_again(
    told: World, hook: Hook
) -> None:
    """Killed in the middle of an attempt: the next start delivers, under the same key."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    say(told)
    key = told.said()[0].key
    with told.book.writing() as tx:
        tx.execute(
            "INSERT INTO attempt(delivery_id, started_ms, outcome) VALUES (?, ?, 'started')",
            (told.said()[0].id, told.now),
        )
    told.reopen()
    told.run()
    told.notifier.courier.start()
    assert until(lambda: len(hook.received) == 1)
    assert hook.received[0]["delivery"] == key
    assert until(lambda: told.said()[0].state == "sent")
    outcomes = [attempt.outcome for attempt in told.book.all(Attempt, "ORDER BY id")]
    assert outcomes == ["cut off", "sent"]


def test_the_service_stops_while_a_channel_hangs_and_delivers_after_the_next_start(
    told: World, hook: Hook
) -> None:
    """A server that is updated at night does not wait for a receiver that is asleep."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.hangs = True
    told.notifier.start()
    told.silent(told.points[0])
    assert until(told.alerts)
    told.now += 5_000
    assert until(lambda: told.book.all(Attempt))
    began = time.monotonic()
    told.notifier.stop()
    assert time.monotonic() - began < 10
    hook.hangs = False
    hook.hang.set()
    told.open()
    told.notifier.start()
    assert until(lambda: told.said()[0].state == "sent")
    told.notifier.stop()
    told.open()
    assert {body["delivery"] for body in hook.received} == {told.said()[0].key}


def test_a_storm_is_one_message_for_each_channel(told: World, hook: Hook, mail: Mail) -> None:
    """Three hundred rules that speak at once fill nobody's inbox."""
    channels = [told.channel("ops"), told.channel("hook", "webhook", url=hook.url)]
    for number in range(300):
        told.rule(channels=channels, name=f"Rule {number}")
    say(told)
    assert len(told.said()) == 600
    assert delivered(told, 600)
    assert len(mail[0].mails) == 1
    assert "Subject: 300 notifications" in mail[0].mails[0][1]
    assert "and 280 more" in mail[0].mails[0][1]
    (body,) = hook.received
    assert (body["event"], body["count"], len(body["events"])) == ("digest", 300, 20)
    assert all(one.state == "sent" for one in told.said())


def test_what_is_over_before_it_could_be_delivered_is_replaced_by_the_end(
    told: World, hook: Hook
) -> None:
    """When the receiver is back it hears the whole story, not an alarm that is old."""
    told.rule(channels=[told.channel("hook", "webhook", url=hook.url)])
    hook.answers.append((503, {}))
    say(told)
    assert attempted(told, 1)
    told.again(told.points[0])
    told.run(seconds=10)
    assert delivered(told, 2)
    assert [body["event"] for body in hook.received] == ["recovery"]
    assert [one.state for one in told.said()] == ["dropped", "sent"]


def test_a_channel_that_is_removed_or_switched_off_gets_nothing(told: World, mail: Mail) -> None:
    """Who left the company is not written to, also not what waits already."""
    number = told.channel("gone")
    told.rule(channels=[number, told.channel("stays")])
    say(told)
    with told.catalog.change(catalogs.Actor("test")) as change:
        row = change.session.get(AlertChannel, number)
        assert row is not None
        alerts.remove_channel(change, row)
    told.notifier.engine.renew()
    assert delivered(told, 2)
    assert [mail[0] for mail in mail[0].mails] == [["stays@acme.example"]]
    assert told.said()[0].reason == "The channel was removed."


def test_a_test_button_delivers_at_once_and_says_what_happened(told: World, hook: Hook) -> None:
    """The result is the receiver's, and it is in the history."""
    told.channel("hook", "webhook", url=hook.url)
    told.run()
    (channel,) = told.notifier.engine.rules.channels.values()
    assert told.notifier.desk.test_channel(channel, "A. Lee").ok
    assert hook.received[0]["event"] == "test"
    told.now += 1000
    hook.answers.append((404, {}))
    outcome = told.notifier.desk.test_channel(channel, "A. Lee")
    assert (outcome.ok, outcome.reason) == (False, "The receiver answered 404.")
    history = told.notifier.desk.history([told.organisation_id])
    assert [(d.what, d.state, len(a)) for d, a in history] == [
        ("test", "failed", 1), ("test", "sent", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://10.1.2.3/x", "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data", "http://[::ffff:192.168.0.1]/x",
        "http://100.64.0.1/", "http://0.0.0.0/",
    ],
)  # fmt: skip
def test_a_webhook_into_the_servers_own_network_is_refused(world: World, url: str) -> None:
    """Who may add a webhook must not reach through it what only the server can reach."""
    number = world.channel("hook", "webhook", url=url)
    world.run()
    carriers = Carriers(world.sealer, world.mailer, ())
    outcome = carriers.carry(world.notifier.engine.rules.channels[number], Parcel("k", "t", "b"))
    assert not outcome.ok
    assert not outcome.helps
    assert "is not a public address" in outcome.reason


@pytest.mark.parametrize(
    "url", ["json://127.0.0.1/x", "ntfy://10.0.0.5/topic", "gotify://192.168.1.2/token123"]
)
def test_the_same_holds_for_services_on_a_host_of_ones_own(url: str) -> None:
    """Apprise must not be a way round."""
    with pytest.raises(KilowatchError, match="not a public address"):
        look_where(service_of(url), ())


def test_apprise_follows_no_redirect(told: World, hook: Hook) -> None:
    """A public host must not send us on into the server's own network."""
    url = f"json://127.0.0.1:{hook.port}/x"
    told.rule(channels=[told.channel("other", "apprise", url=url)])
    hook.answers.append((307, {"location": hook.url}))
    say(told)
    assert attempted(told, 1)
    assert not hook.received


@pytest.mark.parametrize(
    "url",
    [
        "syslog://", "gnome://", "nonsense", "", "file:///etc/passwd",
        "mailto://user:pw@example.com?smtp=10.0.0.5",
    ],
)  # fmt: skip
def test_what_reaches_the_server_itself_is_no_channel(url: str) -> None:
    """Nor what Apprise does not understand."""
    with pytest.raises(KilowatchError, match="not the address of a service"):
        service_of(url)


def test_an_address_is_never_kept_or_shown_as_it_is(told: World, hook: Hook) -> None:
    """A copy of the files, the audit history and the log of deliveries hold no token."""
    number = told.channel("hook", "webhook", url=hook.url, secret="sh4red-s3cret")
    told.rule(channels=[number])
    hook.answers.append((401, {}))
    say(told)
    assert delivered(told)
    assert "s3cr3t" not in repr(told.book.all(Delivery)) + repr(told.book.all(Attempt))
    with told.catalog.reading() as session:
        entries = session.query(AuditEntry).all()
        history = repr([(e.before, e.after) for e in entries])
    assert not re.search("s3cr3t|sh4red", history)
    for path in told.folder.iterdir():
        assert b"s3cr3t" not in path.read_bytes(), path.name


def test_an_address_opens_only_for_its_organisation_and_under_its_key() -> None:
    """A row copied to another organisation, or a folder without its key, gives nothing away."""
    sealed = Sealer(KEY).seal(1, {"url": "https://example.com/token"})
    assert Sealer(KEY).open(1, sealed) == {"url": "https://example.com/token"}
    for sealer, owner in ((Sealer(KEY), 2), (Sealer(bytes(32)), 1)):
        with pytest.raises(KilowatchError, match="another server key"):
            sealer.open(owner, sealed)

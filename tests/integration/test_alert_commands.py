"""`zerogex alerts`, the settings of channels, and what API and keys say of alerts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from typer.testing import Result

from receiver import Receiver, receiving
from served import Served, serving, until
from zerogex import app
from zerogex.alerts.words import parse_rule
from zerogex.domain.alert import Alert, AlertRule, Side, Standing
from zerogex.domain.bar import MinuteBar
from zerogex.errors import SettingsError
from zerogex.ports import ApiKey
from zerogex.serving.keys import digest, new_key
from zerogex.settings import Loaded
from zerogex.store.postgres import PostgresStore

Run = Callable[..., Result]
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def tell(store: PostgresStore, number: int = 1, *channels: str) -> Alert:
    """Put an alert in the outbox of these channels."""
    alert = Alert(
        f"1#{number}", "1", "SPY", NOON, Side.ABOVE, "=HYPERLINK(1)", "<b>Spot</b> 505.00", 505.0, 500.0, True
    )
    before, after = Standing(Side.BELOW, number - 1), Standing(Side.ABOVE, number, NOON)
    assert store.alerts.stand("1", before, after, alert, channels)
    return alert


def test_a_rule_is_made_listed_and_removed(zerogex: Run, store: PostgresStore) -> None:
    made = zerogex("alerts", "add", "spy", "net_gex", "below", "-1bn", "--cooldown", "15m", "--band", "5%")
    assert made.exit_code == 0
    assert "SPY net_gex below -1,000,000,000, band 5%, at most every 15m" in made.stderr
    assert "no channel is set" in made.stderr
    (row,) = json.loads(zerogex("alerts", "list", "-o", "json").stdout)
    assert (row["words"], row["cooldown_s"], row["side"]) == ("SPY net_gex below -1,000,000,000", 900.0, None)
    assert max(map(len, zerogex("alerts", "list").output.splitlines())) <= 80
    assert zerogex("alerts", "remove", row["rule"]).exit_code == 0
    again = zerogex("alerts", "remove", row["rule"])
    assert (again.exit_code, again.stderr) == (
        2, f"zerogex: there is no rule '{row['rule']}'; `zerogex alerts list` shows them all\n",
    )  # fmt: skip


def test_a_wrong_rule_is_one_sentence_and_leaves_nothing(zerogex: Run, store: PostgresStore) -> None:
    wrong = zerogex("alerts", "add", "SPY", "spott", "above", "3")
    assert wrong.exit_code == 2
    assert wrong.stderr.count("\n") == 1
    assert "did you mean spot?" in wrong.stderr
    assert store.alerts.rules() == []


def test_a_rule_is_made_once_and_one_of_nothing_stored_says_that_it_sleeps(zerogex: Run, store: PostgresStore) -> None:
    words = ("SPY", "spot", "crosses", "gamma_flip")
    assert "sleeps" not in zerogex("alerts", "add", *words).stderr  # SPY is followed by default
    again = zerogex("alerts", "add", *words)
    assert (again.exit_code, again.stderr) == (
        2, "zerogex: rule 1 is SPY spot crosses gamma_flip already, with this band and cooldown\n",
    )  # fmt: skip
    assert zerogex("alerts", "add", *words, "--cooldown", "15m").exit_code == 0
    store.write_bars([MinuteBar("SPY", NOON, 500.0, 500.0, 500.0, 500.0, 1, 1)])
    made = zerogex("alerts", "add", "SPYY", "spot", "above", "3")
    assert made.exit_code == 0
    assert "nothing of SPYY is stored yet (there is SPY); the rule sleeps until it is followed" in made.stderr
    listed = zerogex("alerts", "list")
    assert [word for word in listed.stdout.split() if word in ("asleep", "unseen")] == ["unseen", "unseen", "asleep"]
    assert "asleep: nothing of SPYY is stored (there is SPY)" in listed.stderr
    assert max(map(len, listed.output.splitlines())) <= 80
    log = zerogex("alerts", "log", "-s", "xyz")
    assert (log.exit_code, "nothing of XYZ is stored; there is SPY" in log.stderr) == (1, True)
    assert zerogex("keys", "revoke", "nobody").exit_code == 2


def test_what_is_empty_says_what_to_do(zerogex: Run, store: PostgresStore) -> None:
    assert "zerogex alerts add SPY spot crosses gamma_flip" in zerogex("alerts", "list").stderr
    assert "no alerts yet" in zerogex("alerts", "log").stderr
    assert "ALERT_NTFY_URL" in zerogex("alerts", "channels").stderr


def test_the_log_says_what_arrived_and_what_waits(zerogex: Run, store: PostgresStore) -> None:
    tell(store, 1, "ntfy", "webhook")
    delivery = store.alerts.claim("ntfy", 60.0)
    assert delivery is not None
    store.alerts.settle(delivery)
    waiting = store.alerts.claim("webhook", 60.0)
    assert waiting is not None
    store.alerts.settle(waiting, "example.org answered 500", 30.0)
    (row,) = json.loads(zerogex("alerts", "log", "-o", "json").stdout)
    assert row["delivered"] == "ntfy: delivered; webhook: waits (example.org answered 500)"
    assert zerogex("alerts", "log", "-o", "csv").stdout.splitlines()[1].split(",")[1].startswith("'=")
    assert json.loads(zerogex("alerts", "log", "-s", "QQQ", "-o", "json").stdout) == []


def test_a_test_alert_reaches_the_channels_of_the_settings(
    zerogex: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no channel is set" in zerogex("alerts", "test").stderr
    monkeypatch.setenv("ALERT_ALLOW_LAN", "true")
    monkeypatch.setenv("ALERT_NTFY_URL", f"{receiver.address}/my-topic")
    monkeypatch.setenv("ALERT_NTFY_TOKEN", "tk_secret")
    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{receiver.address}/hook")
    assert zerogex("alerts", "test").exit_code == 0
    phone, hook = receiver.heard
    assert (phone.body["topic"], phone.headers["Authorization"]) == ("my-topic", "Bearer tk_secret")
    assert (hook.path, hook.body["title"]) == ("/hook", "ZeroGEX test")
    receiver.status = 500
    failed = zerogex("alerts", "test")
    assert failed.exit_code == 69
    assert failed.stderr.count("127.0.0.1 answered 500") == 2


def test_a_message_of_ones_own_needs_no_database(
    zerogex: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = zerogex("alerts", "tell", "zerogex-api failed on desk")
    assert (told.exit_code, "nobody is told" in told.stderr) == (0, True)
    monkeypatch.setenv("DB_PORT", "1")
    monkeypatch.setenv("ALERT_ALLOW_LAN", "true")
    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{receiver.address}/hook")
    assert zerogex("alerts", "tell", "zerogex-api failed on desk", "make logs-errors says why.").exit_code == 0
    body = receiver.heard[0].body
    assert (body["title"], body["message"]) == ("zerogex-api failed on desk", "make logs-errors says why.")
    receiver.status = 500
    assert zerogex("alerts", "tell", "x").exit_code == 69


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ALERT_NTFY_URL": "ntfy.sh/s3cret"}, "expected the address of a web server"),
        ({"ALERT_NTFY_URL": "https://ntfy.sh/"}, "expected the address of a topic"),
        ({"ALERT_WEBHOOK_URL": "https://example.org:99999/s3cret"}, "expected the address of a web server"),
        ({"ALERT_WEBHOOK_URL": "file:///etc/s3cret"}, "expected the address of a web server"),
        ({"ALERT_WEBHOOK_URL": "https://user:s3cret@example.org/"}, "without a user in it"),
        ({"ALERT_WEBHOOK_URL": "http://example.org/s3cret"}, "http, which everybody on the way can read"),
    ],
)
def test_a_wrong_address_is_refused_and_not_shown(
    given: Callable[..., Loaded], values: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        given(**values)
    assert "s3cret" not in str(caught.value)


def test_trouble_is_watched_unless_it_is_switched_off(given: Callable[..., Loaded]) -> None:
    assert app.watched_for_trouble(given(STREAM_UNDERLYING="SPY,SPX").settings) == ("SPY", "SPX")
    assert app.watched_for_trouble(given(ALERT_ON_TROUBLE="false").settings) == ()


@pytest.fixture
def make_key(store: PostgresStore) -> Callable[..., str]:
    """A function that makes a key of these scopes: its text."""

    def make(*scopes: str) -> str:
        key_id, text = new_key()
        store.api_keys.add(ApiKey(key_id, "desk", scopes, 600), digest(text))
        return text

    return make


def ask(served: Served, query: str = "", key: str | None = None) -> httpx2.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx2.get(f"{served.address}/api/v1/alerts{query}", headers=headers)


def test_the_api_says_rules_alerts_and_channels(store: PostgresStore) -> None:
    rule: AlertRule = parse_rule("SPY spot crosses gamma_flip", "")
    store.alerts.add_rule(rule)
    with serving(store, symbols=("SPY",)) as served:
        until(lambda: served.app.state.hub.board.database)
        empty = ask(served).json()
        assert (empty["alerting"], empty["alerts"], empty["rules"][0]["words"]) == (
            "off",
            [],
            "SPY spot crosses gamma_flip",
        )
        tell(store, 1, "ntfy")
        store.alerts.note_channel("ntfy", "ntfy.sh", tried=True, error="ntfy.sh answered 500")
        found = ask(served).json()
        assert found["alerting"] == "failing"
        assert found["channels"][0]["trouble"] == "ntfy.sh answered 500"
        assert found["channels"][0]["pending"] == 1
        assert found["alerts"][0]["deliveries"][0]["delivered_at"] is None
        assert found["rules"][0]["alerts"] == 1
        store.alerts.note_channel("ntfy", "ntfy.sh", tried=True)
        assert ask(served).json()["alerting"] == "ok"
        tag = ask(served).headers["ETag"]
        again = httpx2.get(f"{served.address}/api/v1/alerts", headers={"If-None-Match": tag})
        assert again.status_code == 304
        assert ask(served, "?format=csv").text.splitlines()[1].split(",")[5].startswith("'=")
        assert ask(served, "?limit=0").status_code == 422
        assert ask(served, "?limit=x").json()["code"] == "invalid_parameter"


def test_the_operators_alerts_are_for_keys_of_that_scope_alone(
    store: PostgresStore, make_key: Callable[..., str]
) -> None:
    with serving(store, symbols=("SPY",), allow_remote=True) as served:
        until(lambda: served.app.state.hub.board.database)
        assert ask(served).status_code == 401
        refused = ask(served, key=make_key("data"))
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        assert ask(served, key=make_key("data", "alerts")).status_code == 200

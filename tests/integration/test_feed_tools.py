"""Backfill, stream, probe, sign-in and doctor as an operator runs them: real processes, the simulator, PostgreSQL."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from zerogex.announced import announce
from zerogex.domain.bar import MinuteBar
from zerogex.ports import FeedState
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator
from zerogex.store.postgres import PostgresStore

START = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # an hour into the session
SMALL = ("--expirations", "1", "--strike-distance", "2")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One simulated market for the whole file, on a loop of its own; it accepts its own credentials only."""
    loop = asyncio.new_event_loop()
    market = Simulator(SimulatorConfig(port=0, start=START, strict=True))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(market.start(), loop).result(20)
    yield market
    asyncio.run_coroutine_threadsafe(market.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def env(simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator whose feed is the simulator."""
    ours = r"(TRADESTATION|DB|STREAM|SERVE|LOG|ZEROGEX|API|DELAY)_"
    clean = {name: value for name, value in os.environ.items() if not re.match(ours, name)}
    credentials = {f"TRADESTATION_{name}": "simulator" for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")}
    return {
        **clean,
        **credentials,
        "TRADESTATION_API_URL": simulator.url,
        "ZEROGEX_HOME": str(tmp_path / "home"),
        "ZEROGEX_ENV_FILE": str(tmp_path / "env"),
        "API_RETRY_ATTEMPTS": "0",
        "SERVE_PORT": "0",
    }


@pytest.fixture
def stored(env: dict[str, str], database: Any) -> dict[str, str]:
    """The same with a database of its own."""
    where = {"DB_HOST": database.host, "DB_PORT": str(database.port), "DB_NAME": database.dbname}
    return {**env, **where, "DB_USER": database.user}


def zerogex(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "zerogex", *arguments]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The only line of complaint."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert "Traceback" not in done.stderr, done.stderr
    assert lines[-1].startswith("zerogex: "), done.stderr
    return lines[-1]


def rows(database: Any, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(query).fetchall()


# -- backfill --------------------------------------------------------------------------------------


def test_a_backfill_goes_through_the_live_pipeline_and_a_second_one_does_nothing(
    stored: dict[str, str], database: Any
) -> None:
    arguments = ("backfill", "--lookback-days", "1", "--sample-every", "30", *SMALL, "-o", "json")
    done = zerogex(stored, *arguments)
    assert done.returncode == 0, done.stderr
    (first,) = json.loads(done.stdout)
    assert (first["gaps"], first["missing_minutes"], first["simulated"]) == (0, 0, True)
    assert re.search(r"SPY  2026-11-19 to 2026-11-20  options \d+/\d+  100%  [\d.]+/s", done.stderr)
    minutes = rows(database, "SELECT DISTINCT timestamp FROM option_chains ORDER BY 1")
    assert len(minutes) == first["chain_minutes"]
    assert {stamp.minute for (stamp,) in minutes} == {0, 30}
    sources = dict(rows(database, "SELECT iv_source::text, count(*) FROM option_chains GROUP BY 1"))
    assert sources["last"] > 0.8 * sum(sources.values())
    assert rows(database, "SELECT count(*) FROM option_chains WHERE bid IS NOT NULL OR ask IS NOT NULL") == [(0,)]
    valued = rows(database, "SELECT delta, gamma, vega FROM option_chains WHERE iv_source = 'last'")
    assert all(-1 <= delta <= 1 and gamma >= 0 and vega >= 0 for delta, gamma, vega in valued)
    falls = """SELECT count(*) FROM (SELECT volume - lag(volume) OVER (PARTITION BY option_symbol,
               (timestamp AT TIME ZONE 'America/New_York')::date ORDER BY timestamp) AS change FROM option_chains) AS d
               WHERE change < 0"""
    assert rows(database, falls) == [(0,)]
    again = json.loads(zerogex(stored, *arguments).stdout)[0]
    assert again["chain_minutes"] == again["contract_rows"] == 0
    assert again["bars"] <= 2  # what the market has added since


def test_a_backfill_from_another_simulated_market_is_refused(stored: dict[str, str], store: PostgresStore) -> None:
    """The one that fed the database is somewhere else: its bars and these would look alike."""
    where = store.config
    at = {**stored, "DB_HOST": where.host, "DB_PORT": str(where.port), "DB_NAME": where.dbname, "DB_USER": where.user}
    fed = FeedState("simulated", True, START, datetime.now(UTC), 1.0)
    store.announce_feed(fed)
    known = MinuteBar("QQQ", START, 1.0, 1.0, 1.0, 1.0, 1, 1)
    store.write_bars([known])
    done = zerogex(at, "backfill", "--lookback-days", "0", "--bars-only")
    assert done.returncode == 78
    assert "is not the one" in one_sentence(done) and "TRADESTATION_API_URL" in one_sentence(done)
    assert (store.underlyings(), store.feed_state()) == (["QQQ"], fed)


def test_commands_of_a_home_ask_the_market_its_platform_announced(env: dict[str, str], simulator: Simulator) -> None:
    del env["TRADESTATION_API_URL"]
    home = Path(env["ZEROGEX_HOME"])
    with announce(home, simulator.url):
        done = zerogex({**env, "ZEROGEX_SIMULATE": "true"}, "probe", "auth", "-o", "json")
    said = {one["what"]: one["value"] for one in json.loads(done.stdout)}
    assert said["api"] == simulator.url
    assert list(home.glob("simulator*")) == []


def test_a_hole_in_a_stored_day_is_found_and_filled_alone(stored: dict[str, str], database: Any) -> None:
    arguments = ("backfill", "--lookback-days", "1", "--bars-only", "-o", "json")
    assert zerogex(stored, *arguments).returncode == 0
    before = rows(database, "SELECT * FROM underlying_quotes WHERE timestamp < '2026-11-20 10:00' ORDER BY timestamp")
    with psycopg.connect(**database.parameters()) as connection:
        hole = "DELETE FROM underlying_quotes WHERE timestamp >= '2026-11-19 16:00' AND timestamp < '2026-11-19 16:07'"
        assert connection.execute(hole).rowcount == 7
    (found,) = json.loads(zerogex(stored, *arguments).stdout)
    assert 7 <= found["bars"] <= 9
    after = rows(database, "SELECT * FROM underlying_quotes WHERE timestamp < '2026-11-20 10:00' ORDER BY timestamp")
    assert after == before


def test_longer_bars_are_printed_and_nothing_is_stored(env: dict[str, str]) -> None:
    done = zerogex(env, "backfill", "--unit", "daily", "--lookback-days", "9", "-o", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("symbol,start,open")
    assert len(done.stdout.splitlines()) == 8
    assert "printed, not stored" in one_sentence(done)
    assert not (Path(env["ZEROGEX_HOME"]) / "postgres").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("backfill", "--unit", "Hourly"), 2, "Hourly"),
        (("backfill", "--unit", "Daily", "--interval", "5"), 2, "interval 1, not 5"),
        (("backfill", "--sample-every", "0"), 2, "sample-every"),
        (("stream", "-o", "csv"), 2, "line by line"),
        (("probe", "nonsense"), 2, "nonsense"),
    ],
)
def test_a_wrong_option_is_usage(env: dict[str, str], arguments: tuple[str, ...], code: int, said: str) -> None:
    done = zerogex(env, *arguments)
    assert done.returncode == code
    assert said in re.sub(r"[\s│]+", " ", done.stderr)


@pytest.mark.parametrize(
    "command", [("backfill", "--bars-only"), ("stream",), ("probe", "quote", "--symbol", "NOSUCH")]
)
def test_an_unknown_symbol_is_one_sentence(stored: dict[str, str], command: tuple[str, ...]) -> None:
    done = zerogex({**stored, "STREAM_UNDERLYING": "NOSUCH"}, *command)
    assert done.returncode == 69
    assert "NOSUCH" in one_sentence(done)


@pytest.mark.parametrize("command", [("backfill", "--bars-only"), ("stream",), ("probe", "auth")])
def test_refused_credentials_and_a_missing_feed_have_their_codes(
    stored: dict[str, str], command: tuple[str, ...]
) -> None:
    refused = zerogex({**stored, "TRADESTATION_CLIENT_SECRET": "wrong"}, *command)
    assert refused.returncode == 77
    assert "TRADESTATION_CLIENT_SECRET" in one_sentence(refused)
    away = zerogex({**stored, "TRADESTATION_API_URL": "http://127.0.0.1:9"}, *command)
    assert away.returncode == 78
    assert "no simulator answers at http://127.0.0.1:9" in one_sentence(away)


# -- stream and probe ------------------------------------------------------------------------------


def test_a_stream_prints_bars_and_quotes_within_eighty_columns(env: dict[str, str]) -> None:
    done = zerogex(env, "stream", *SMALL, "--max-iterations", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"\d\d:\d\d:\d\d SPY 261120[CP]\d+ +[\d.]+ +[\d.]+", line) for line in lines)
    assert "SIMULATED SPY: 1 expiration, 8 contracts" in done.stderr


def test_a_stream_as_ndjson_has_numbers_and_utc_times(env: dict[str, str]) -> None:
    done = zerogex(env, "stream", *SMALL, "--max-iterations", "4", "-o", "ndjson")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["kind"] for one in said} == {"bar", "quote"}
    assert all(one["simulated"] and one["received_time"].endswith("Z") for one in said)
    assert all(one["bid"] <= one["ask"] for one in said if one["kind"] == "quote")


def test_every_probe_passes_against_the_simulator(env: dict[str, str]) -> None:
    done = zerogex(env, "probe", "--bars-back", "2", "-o", "json")
    assert done.returncode == 0, done.stdout
    assert all(one["simulated"] for one in json.loads(done.stdout))
    found = {one["probe"]: one["result"] for one in json.loads(done.stdout)}
    names = ("auth", "quote", "bars", "stream-bars", "options", "search", "market-hours", "depth")
    assert found == dict.fromkeys(names, "passed")


def test_a_failed_probe_fails_the_whole_and_the_table_says_which(env: dict[str, str]) -> None:
    done = zerogex(env, "probe", "--symbol", "NOSUCH", "--bars-back", "1")
    assert done.returncode == 1
    assert re.search(r"^FAILED  quote", done.stdout, re.M)
    assert re.search(r"^passed  market-hours", done.stdout, re.M)
    assert "probes failed: " in one_sentence(done)
    assert done.stdout.startswith("Probes of NOSUCH [SIMULATED]\n")
    assert "TradeStation" not in done.stdout  # it was not asked
    alone = zerogex(env, "probe", "quote", "--symbol", "NOSUCH")
    assert alone.returncode != 0
    assert "the simulator has nothing for NOSUCH" in one_sentence(alone)


def test_a_single_probe_says_that_its_market_is_simulated(env: dict[str, str]) -> None:
    assert "[SIMULATED]" in zerogex(env, "probe", "quote").stdout.splitlines()[0]
    assert zerogex(env, "probe", "quote", "-o", "csv").stdout.splitlines()[0].endswith(",simulated")


# -- sign-in ---------------------------------------------------------------------------------------


class Login:
    """`zerogex auth login` waiting for its browser."""

    def __init__(self, env: dict[str, str], simulator: Simulator, *options: str) -> None:
        self.file = Path(env["ZEROGEX_ENV_FILE"])
        self.file.write_text(
            "# keys of the desk\nTRADESTATION_CLIENT_ID=simulator  # the key\nTRADESTATION_CLIENT_SECRET=simulator\n"
            "TRADESTATION_REFRESH_TOKEN=old # from spring\nSTREAM_UNDERLYING=SPY,QQQ\n"
        )
        self.file.chmod(0o644)
        clean = {name: value for name, value in env.items() if not name.startswith("TRADESTATION_")}
        clean["TRADESTATION_API_URL"] = simulator.url
        argv = [sys.executable, "-m", "zerogex", "auth", "login", "--no-browser", "--port", "0", *options]
        self.process = subprocess.Popen(argv, env=clean, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        self.url = next((line.strip() for line in self.process.stderr if line.startswith("http")), "")

    def come_back(self, url: str) -> str:
        """What the browser shows at the end of its redirects."""
        try:
            with urllib.request.urlopen(url, timeout=20) as page:
                return str(page.read().decode())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.read().decode()

    def end(self) -> tuple[int, str]:
        """The exit code and the last sentence."""
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.strip().splitlines()[-1]


def test_signing_in_writes_the_token_and_nothing_else(env: dict[str, str], simulator: Simulator) -> None:
    login = Login(env, simulator)
    assert "Signed in" in login.come_back(login.url)
    code, said = login.end()
    assert code == 0, said
    lines = login.file.read_text().splitlines()
    token = lines.pop(3).removeprefix("TRADESTATION_REFRESH_TOKEN=").removesuffix(" # from spring")
    assert token in simulator.exchange.refresh_tokens
    assert lines == ["# keys of the desk", "TRADESTATION_CLIENT_ID=simulator  # the key",
                     "TRADESTATION_CLIENT_SECRET=simulator", "STREAM_UNDERLYING=SPY,QQQ"]  # fmt: skip
    assert stat.S_IMODE(login.file.stat().st_mode) == 0o600
    assert token not in said


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda url: f"{url}&decline=1", 77, "did not authorize"),
        (lambda url: re.sub(r"state=[^&]+", "state=forged", url), 77, "wrong state"),
    ],
)
def test_a_declined_or_forged_answer_ends_in_one_sentence(
    env: dict[str, str], simulator: Simulator, change: Any, code: int, said: str
) -> None:
    login = Login(env, simulator)
    login.come_back(change(login.url))
    ended, sentence = login.end()
    assert (ended, said in sentence) == (code, True), sentence
    assert "TRADESTATION_REFRESH_TOKEN=old # from spring" in login.file.read_text()


def test_a_sign_in_nobody_finishes_gives_up(env: dict[str, str], simulator: Simulator) -> None:
    code, said = Login(env, simulator, "--timeout", "1").end()
    assert code == 69
    assert "nobody came back" in said


def test_a_sign_in_without_a_key_says_what_is_missing(env: dict[str, str]) -> None:
    bare = {name: value for name, value in env.items() if not name.startswith("TRADESTATION_")}
    done = zerogex(bare, "auth", "login")
    assert done.returncode == 78
    assert "TRADESTATION_CLIENT_ID and TRADESTATION_CLIENT_SECRET are not set" in one_sentence(done)


# -- doctor ----------------------------------------------------------------------------------------


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {one["check"]: one for one in json.loads(done.stdout)}


def test_the_doctor_finds_nothing_wrong_with_a_healthy_machine(stored: dict[str, str]) -> None:
    done = zerogex(stored, "doctor", "-o", "json")
    assert done.returncode == 0, done.stdout
    found = findings(done)
    assert {"settings", ".env", "clock", "credentials", "database", "locks", "data", "disk", "page"} <= set(found)
    assert not [one for one in found.values() if one["state"] == "problem"]


def test_the_doctor_names_each_problem_its_cause_and_its_cure(stored: dict[str, str]) -> None:
    file = Path(stored["ZEROGEX_ENV_FILE"])
    file.write_text("STREAM_UNDERLYNG=SPY\n")
    file.chmod(0o644)
    broken = {**stored, "TRADESTATION_REFRESH_TOKEN": "revoked", "DB_HOST": "127.0.0.1", "DB_PORT": "9"}
    done = zerogex(broken, "doctor", "-o", "json")
    assert done.returncode == 1
    problems = {one["check"]: one for one in json.loads(done.stdout) if one["state"] == "problem"}
    assert problems[".env"]["command"] == f"chmod 600 {file}"
    assert problems["credentials"]["command"] == "zerogex auth login"
    assert "127.0.0.1:9" in problems["database"]["finding"]
    assert all(one["cause"] and one["command"] for one in problems.values())
    assert "STREAM_UNDERLYING" in done.stdout  # what the misspelt name was meant to be


def test_the_doctor_sees_a_clock_that_is_wrong(stored: dict[str, str], simulator: Simulator) -> None:
    simulator.exchange.faults.date_skew_s = 90.0
    try:
        done = zerogex(stored, "doctor", "-o", "json")
    finally:
        simulator.exchange.faults.date_skew_s = 0.0
    assert done.returncode == 1
    assert re.search(r"clock is (89|90) s behind", findings(done)["clock"]["finding"])
    assert "set-ntp" in findings(done)["clock"]["command"]


def test_the_doctor_says_why_ingest_cannot_hear_the_feed(stored: dict[str, str], store: PostgresStore) -> None:
    where = store.config
    store.announce_feed(FeedState("simulated", True))
    store.note_feed_trouble("the refresh token is expired or revoked (invalid_grant)")
    at = {"DB_HOST": where.host, "DB_PORT": str(where.port), "DB_NAME": where.dbname, "DB_USER": where.user}
    done = zerogex({**stored, **at}, "doctor", "-o", "json")
    assert done.returncode == 1
    (told,) = [one for one in json.loads(done.stdout) if one["state"] == "problem" and "ingest" in one["finding"]]
    assert "invalid_grant" in told["finding"] and told["command"].startswith("zerogex auth login")


def test_the_doctor_survives_settings_that_are_wrong(stored: dict[str, str]) -> None:
    done = zerogex({**stored, "DB_PORT": "x", "IV_MIN": "-1"}, "doctor")
    assert done.returncode == 1
    assert "DB_PORT" in done.stdout and "IV_MIN" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80

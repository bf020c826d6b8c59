"""The operators' commands against a real PostgreSQL: what they print, refuse and leave behind."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from typer.testing import Result

from zerogex import settings
from zerogex.analytics.analysis import analyze
from zerogex.analytics.document import document
from zerogex.cli import show, up
from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain
from zerogex.errors import StoreError
from zerogex.ports import FeedState, MinuteBatch
from zerogex.store import restore, upkeep
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore
from zerogex.store.sql import queries, statement

MakeChain = Callable[..., OptionChain]
Run = Callable[..., Result]
OPEN = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
HALF_DAY = datetime(2025, 11, 28, 14, 30, tzinfo=UTC)  # the day after Thanksgiving ends at 13:00


@pytest.fixture
def filled(store: PostgresStore, make_chain: MakeChain) -> PostgresStore:
    """Nine minutes of SPX of a simulated market; the bar of the third one and the chain of two are missing."""
    store.announce_feed(FeedState("simulator", True, OPEN + timedelta(minutes=9), datetime.now(UTC), 0.001))
    for number in range(9):
        when = OPEN + timedelta(minutes=number)
        chain = None
        if number not in (4, 5):
            columns = {"volume": np.full(160, 10 + 30 * number), "iv_status": np.zeros(160, int)}
            chain = make_chain(as_of=when + timedelta(minutes=1), **columns)
        bars = () if number == 2 else (bar(when, 1000 * number + 1000, 500 * number + 500),)
        store.write_minute(MinuteBatch(uuid4(), "SPX", when, chain, bars))
    store.write_latest(chain, np.ones(len(chain), bool))
    return store


def bar(when: datetime, up: int, down: int) -> MinuteBar:
    return MinuteBar("SPX", when, 5010.0, 5020.0, 5000.0, 5012.5, up, down)


def count(config: DatabaseConfig, table: str) -> int:
    with psycopg.connect(**config.parameters()) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return row[0] if row else 0


VIEWS = [name.replace("_", "-") for name in queries()] + list(show.CALENDAR_VIEWS)


def test_every_view_prints_with_data_and_fits_eighty_columns(zerogex: Run, filled: PostgresStore) -> None:
    for view in VIEWS:
        result = zerogex("show", view)
        assert result.exit_code == 0, (view, result.output)
        wide = [line for line in result.stdout.splitlines() if len(line.rstrip()) > 80]
        assert not wide or view in ("options-raw", "gex-summary"), (view, wide)


def test_a_limit_holds_for_each_underlying_and_none_is_left_out(
    zerogex: Run, filled: PostgresStore, make_chain: MakeChain
) -> None:
    """With one limit for all, the first of the alphabet would be the only one seen."""
    for minute in (OPEN, OPEN + timedelta(minutes=1)):
        chain = make_chain(as_of=minute + timedelta(minutes=1), underlying="AAPL", roots=("AAPL",))
        bars = (MinuteBar("AAPL", minute, 5010.0, 5020.0, 5000.0, 5012.5, 10, 10),)
        filled.write_minute(MinuteBatch(uuid4(), "AAPL", minute, chain, bars))
    filled.write_latest(chain, np.ones(len(chain), bool))
    assert zerogex("analyze", "--since", "2026-02-20").exit_code == 0
    for view, key in {"underlying": "symbol", "options": "option_symbol", "greeks": "underlying",
                      "gex-strikes": "underlying"}.items():  # fmt: skip
        rows = json.loads(zerogex("show", view, "-n", "2", "-o", "json").stdout)
        assert [row[key][:3] for row in rows] == ["AAP", "AAP", "SPX", "SPX"], view


def test_every_view_of_an_empty_database_says_so_and_succeeds(zerogex: Run) -> None:
    for view in VIEWS:
        result = zerogex("show", view)
        assert result.exit_code == 0, (view, result.output)
        assert "zerogex up" in result.stderr or view == "size", (view, result.stderr)
        assert json.loads(zerogex("show", view, "-o", "json").stdout) == [] or view == "size"


@pytest.mark.parametrize("words", [("show", "stats"), ("show", "gaps"), ("quality",), ("analyze", "--once")])
def test_a_symbol_that_is_not_stored_is_named_with_those_that_are(
    words: tuple[str, ...], zerogex: Run, filled: PostgresStore
) -> None:
    result = zerogex(*words, "-u", "nope")
    assert (result.exit_code, result.stderr) == (1, "zerogex: nothing of NOPE is stored; there is SPX\n")


def test_a_choice_that_a_view_does_not_have_is_refused_and_not_ignored(zerogex: Run, filled: PostgresStore) -> None:
    for words in (
        ("stats", "--minutes", "5"),
        ("gaps", "--day", "2026-02-20"),
        ("size", "-u", "SPX"),
        ("today", "-n", "3"),
    ):
        result = zerogex("show", *words)
        assert result.exit_code == 2 and f"the view {words[0]} has no such choice" in result.stderr, words
    assert zerogex("show", "quality", "--day", "2026-02-20", "-u", "spx").exit_code == 0


def test_the_flow_screen_names_the_symbols_there_are(zerogex: Run, filled: PostgresStore) -> None:
    result = zerogex("flow", "-u", "nope")
    assert (result.exit_code, result.stderr) == (1, "zerogex: nothing of NOPE is stored; there is SPX\n")


def test_an_analysis_asked_for_by_hand_speaks_new_york_time(zerogex: Run, filled: PostgresStore) -> None:
    assert "2026-02-20 09:39:00 ET" in zerogex("analyze", "--once").stdout
    (row,) = json.loads(zerogex("analyze", "--once", "-o", "json").stdout)
    assert row["data_timestamp"] == "2026-02-20T14:39:00Z"


@pytest.mark.parametrize("view", ["gex-preview", "underlying-latest"])
def test_what_is_shown_as_now_says_how_old_it_is(view: str, zerogex: Run, filled: PostgresStore) -> None:
    chain = filled.latest_chain("SPX")
    assert chain is not None
    analysis = analyze(chain)
    filled.write_live(analysis, json.dumps(document(analysis) | {"computed_at": "2026-02-20T14:39:00Z"}).encode())
    (row,) = json.loads(zerogex("show", view, "-o", "json").stdout)
    assert row["state"] == "simulated" and 0 <= row["age_seconds"] < 10
    assert "[STALE]" not in zerogex("show", view).stdout
    filled.announce_feed(FeedState("simulator", True, OPEN + timedelta(hours=2), datetime.now(UTC), 0.001))
    (row,) = json.loads(zerogex("show", view, "-o", "json").stdout)
    assert row["state"] == "stale" and row["age_seconds"] == pytest.approx(111 * 60, abs=10)
    heading = " ".join(zerogex("show", view).stdout.split())
    assert "[SIMULATED] [STALE]" in heading


@pytest.mark.parametrize(
    "words", [("analyze", "--once"), ("quality",), ("show", "quality"), ("show", "gaps"), ("show", "gaps-today")]
)
def test_simulated_data_says_so_to_people_and_to_programs(
    words: tuple[str, ...], zerogex: Run, filled: PostgresStore
) -> None:
    assert "[SIMULATED]" in zerogex(*words).stdout
    found = json.loads(zerogex(*words, "-o", "json").stdout)
    assert found and all(row["simulated"] is True for row in found)
    assert "simulated" in zerogex(*words, "-o", "csv").stdout.splitlines()[0].split(",")


def test_an_answer_to_sql_is_pure_and_its_note_says_that_the_data_are_simulated(
    zerogex: Run, filled: PostgresStore
) -> None:
    result = zerogex("query", "SELECT 1 AS n", "-o", "csv")
    assert (result.stdout, result.stderr) == ("n\n1\n", "zerogex: this database holds SIMULATED data\n")


def test_a_day_without_a_session_is_told_from_one_without_data(zerogex: Run, filled: PostgresStore) -> None:
    assert "SPX Sat 2026-02-21: no session" in zerogex("quality", "--day", "2026-02-21").stdout
    assert "SPX Thu 2026-02-19: no data" in zerogex("quality", "--day", "2026-02-19").stdout
    assert "no row fits" in zerogex("show", "flow-by-type", "--day", "2026-02-19").stderr


def test_quality_and_gaps_mind_the_length_of_a_stored_minute(
    zerogex: Run, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five-minute buckets over a half day, one of them missing."""
    store.write_bars([bar(HALF_DAY + timedelta(minutes=5 * n), n, n) for n in range(42) if n != 3])
    monkeypatch.setenv("AGGREGATION_BUCKET_SECONDS", "300")
    shown = json.loads(zerogex("show", "gaps", "-o", "json").stdout)
    assert [(row["from_et"], row["to_et"], row["minutes"]) for row in shown if row["missing"] == "bars"] == [
        ("09:45", "09:50", 5)
    ]
    assert "210 session minutes so far; 41 bars" in zerogex("quality", "--day", "2025-11-28").stdout


def test_a_market_begins_behind_what_is_stored_of_symbols_nobody_follows_now(
    zerogex: Run, filled: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=30)
    filled.write_bars([bar(ahead, 1, 1)])
    monkeypatch.setenv("STREAM_UNDERLYING", "QQQ")
    monkeypatch.setenv("ZEROGEX_SIMULATE", "true")
    begin = up._prepare(settings.load(), up.Simulation(None, 1.0, 7, (), ()))
    assert begin is not None and begin > ahead
    assert filled.last_bar("SPX") == bar(ahead, 1, 1)


def test_simulating_anew_forgets_the_batches_of_the_time_to_come(filled: PostgresStore) -> None:
    filled.forget_after(OPEN + timedelta(minutes=3))
    assert filled.query("check_streaming")[1] == []
    with psycopg.connect(**filled.config.parameters()) as connection:
        newest = connection.execute("SELECT max(timestamp) FROM ingest_batches").fetchone()
    assert newest == (OPEN + timedelta(minutes=2),)


def test_the_flow_screen_shows_four_tables_in_eighty_columns(zerogex: Run, filled: PostgresStore) -> None:
    screen = zerogex("flow").stdout
    for title in ("buying pressure", "Puts against calls", "Unusual prints", "Strikes with most flow", "SIMULATED"):
        assert title in screen
    assert max(len(line.rstrip()) for line in screen.splitlines()) <= 80
    assert "(no rows)" not in screen


def test_the_flow_screen_renews_itself_until_ctrl_c(environment: dict[str, str], filled: PostgresStore) -> None:
    command = [sys.executable, "-m", "zerogex", "flow", "--watch", "0.5"]
    child = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    seen = 0
    while seen < 2:
        seen += child.stdout.readline().startswith("Flow, ")
    child.send_signal(signal.SIGINT)
    _, talk = child.communicate(timeout=20)
    assert child.returncode in (0, 130)
    assert talk == ""


def test_quality_names_each_gap_and_writes_it_down(zerogex: Run, filled: PostgresStore) -> None:
    result = zerogex("quality")
    assert result.exit_code == 0
    assert "SPX Fri 2026-02-20: usable" in result.stdout
    assert "9 session minutes so far; 8 bars and 7 chains stored, 1,120 contract rows" in result.stdout
    assert "1 minute is missing from bars, 09:32 to 09:33 ET" in result.stdout
    assert "2 minutes are missing from chains, 09:34 to 09:36 ET" in result.stdout
    columns, rows = filled.query("findings", symbol="SPX")
    gaps = {row[columns.index("subject")]: row for row in rows if row[columns.index("kind")] == "gap"}
    assert gaps["chains"][columns.index("affected")] == 2
    assert gaps["chains"][columns.index("started_at")] == OPEN + timedelta(minutes=4)


def test_a_gap_that_was_filled_is_resolved_at_the_next_look(zerogex: Run, filled: PostgresStore) -> None:
    zerogex("quality")
    filled.write_bars([bar(OPEN + timedelta(minutes=2), 3000, 1500)])
    assert "missing from bars" not in zerogex("quality").stdout
    columns, rows = filled.query("findings")
    resolved = {row[columns.index("subject")]: row[columns.index("resolved_at")] is not None for row in rows}
    assert resolved["bars"]
    assert not resolved["chains"]


def test_gaps_follow_the_exchange_calendar(zerogex: Run, store: PostgresStore) -> None:
    """A half day of 210 minutes, then a weekend without any, then a session followed for a minute."""
    day = [bar(HALF_DAY + timedelta(minutes=n), n, n) for n in range(210) if n not in (7, 8)]
    store.write_bars([*day, bar(datetime(2025, 12, 1, 14, 30, tzinfo=UTC), 1, 1)])
    shown = json.loads(zerogex("show", "gaps", "-o", "json").stdout)
    bars = [row for row in shown if row["missing"] == "bars"]
    assert [(row["day"], row["from_et"], row["to_et"], row["minutes"]) for row in bars] == [
        ("2025-11-28", "09:37", "09:39", 2), ("2025-12-01", "09:31", "16:00", 389),
    ]  # fmt: skip
    today = json.loads(zerogex("show", "gaps-today", "-o", "json").stdout)
    assert {row["day"] for row in today} == {"2025-12-01"}


def test_query_answers_in_every_form_and_says_when_it_cut(zerogex: Run, filled: PostgresStore) -> None:
    text = "SELECT symbol, timestamp, close FROM underlying_quotes ORDER BY timestamp"
    rows = json.loads(zerogex("query", text, "-o", "json").stdout)
    assert rows[0] == {"symbol": "SPX", "timestamp": "2026-02-20T14:30:00Z", "close": 5012.5}
    assert len(zerogex("query", text, "-o", "ndjson").stdout.splitlines()) == 8
    cut = zerogex("query", text, "-o", "csv", "--limit", "3")
    assert len(cut.stdout.splitlines()) == 4
    assert "cut after 3 rows" in cut.stderr
    assert "cut" not in zerogex("query", text, "--limit", "8").stderr
    assert "2026-02-20 09:30:00 ET" in zerogex("query", text).stdout
    assert zerogex("query", "SELECT 1 WHERE false", "-o", "csv").stdout == "?column?\n"
    assert json.loads(zerogex("query", "SELECT 1, 2", "-o", "json").stdout) == [{"?column?": 1, "?column?_2": 2}]


def test_query_reads_standard_input_and_the_variable_sql(
    zerogex: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zerogex("query", "-o", "csv", typed="SELECT 41 AS n").stdout == "n\n41\n"
    monkeypatch.setenv("SQL", "SELECT '$HOME `id` \"x\"' AS n")
    assert zerogex("query", "-o", "csv").stdout == 'n\n"$HOME `id` ""x"""\n'


def test_query_runs_as_a_role_that_can_only_read(zerogex: Run, environment: dict[str, str]) -> None:
    answer = zerogex("query", "SELECT current_user, current_setting('transaction_read_only')", "-o", "csv")
    assert answer.stdout.splitlines()[1] == "zerogex_reader,on"
    assert answer.stderr == ""
    secret = Path(environment["ZEROGEX_HOME"]) / "reader.password"
    assert secret.stat().st_mode & 0o777 == 0o600


CORPUS = [
    "DELETE FROM underlying_quotes",
    "DROP TABLE underlying_quotes",
    "TRUNCATE underlying_quotes",
    "INSERT INTO writers (underlying, holder) VALUES ('X', 'X')",
    "SELECT 1; DELETE FROM underlying_quotes",
    "SELECT 1;; DROP TABLE underlying_quotes",
    "; DELETE FROM underlying_quotes",
    "COMMIT; DELETE FROM underlying_quotes",
    "BEGIN READ WRITE",
    "WITH gone AS (DELETE FROM underlying_quotes RETURNING 1) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM underlying_quotes",
    "/* SELECT */ DELETE FROM underlying_quotes",
    "-- SELECT 1\nDELETE FROM underlying_quotes",
    "SELECT * INTO stolen FROM underlying_quotes",
    "COPY underlying_quotes TO PROGRAM 'cat > /tmp/stolen'",
    "COPY (SELECT 1) TO STDOUT",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
    "SELECT set_config('role', 'zerogex', true)",
    "SELECT set_config('transaction_read_only', 'off', true), "
    "query_to_xml('DELETE FROM underlying_quotes', true, true, '')",
    "SELECT query_to_xml('CREATE TABLE x (a int)', true, true, '')",
    "DO $$ BEGIN DELETE FROM underlying_quotes; END $$",
    "SET ROLE zerogex",
    "RESET ROLE",
    "CALL something()",
    "SELECT ensure_day('underlying_quotes', '2030-01-01')",
    "SELECT nextval('x'); --",
    "VACUUM",
    "ALTER ROLE zerogex_reader SUPERUSER",
    "SELECT rolpassword FROM pg_authid",
    "SELECT 1 FROM underlying_quotes FOR UPDATE",
]


@pytest.mark.parametrize("text", CORPUS)
def test_query_changes_nothing(text: str, zerogex: Run, store: PostgresStore, database: DatabaseConfig) -> None:
    store.write_bars([bar(OPEN, 1, 1)])
    result = zerogex("query", "--", text)
    assert result.exit_code == 65, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert count(database, "underlying_quotes") == 1
    assert count(database, "writers") == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no SQL to run"),
        ("  -- nothing\n", "there is no SQL to run"),
        ("SELECT * FORM latest", 'syntax error at or near "FORM" (at character 10)'),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT clos FROM underlying_quotes", "Perhaps you meant to reference"),
        ("SELECT 1/0", "division by zero"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("HELLO", "this one begins with 'HELLO'"),
    ],
)
def test_bad_sql_is_one_sentence_and_exit_code_65(text: str, sentence: str, zerogex: Run) -> None:
    result = zerogex("query", text)
    assert (result.exit_code, result.stdout) == (65, "")
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_query_that_takes_too_long_is_stopped(database: DatabaseConfig, tmp_path: Path) -> None:
    from zerogex.store.reader import BadQuery, ask

    with pytest.raises(BadQuery, match=r"took longer than 0\.2 s and was stopped"):
        ask(database, "SELECT pg_sleep(20)", secret=tmp_path / "secret", timeout_s=0.2)


def test_without_the_right_to_make_roles_a_query_is_read_only_and_says_so(
    zerogex: Run, database: DatabaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'plain'").fetchone():
            connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    monkeypatch.setenv("DB_USER", "plain")
    result = zerogex("query", "SELECT current_user", "-o", "csv")
    assert result.stdout == "current_user\nplain\n"
    assert "ran in a read-only transaction of 'plain'" in result.stderr
    assert zerogex("query", "WITH x AS (DELETE FROM writers RETURNING 1) SELECT * FROM x").exit_code == 65


def test_a_query_answers_programs_whatever_types_it_has(zerogex: Run, database: DatabaseConfig) -> None:
    text = """SELECT interval '1 day' AS a, 'nan'::float8 AS b, 'infinity'::numeric AS c, time '09:30' AS d,
        '10.0.0.1'::inet AS e, int4range(1, 3) AS f, ARRAY[1.5, 'nan'] AS g, gen_random_uuid() IS NULL AS h"""
    rows = json.loads(zerogex("query", text, "-o", "json").stdout)
    assert rows == [{"a": "P1D", "b": None, "c": None, "d": "09:30:00", "e": "10.0.0.1", "f": "[1, 3)",
                     "g": [1.5, None], "h": False}]  # fmt: skip
    (uuid,) = json.loads(zerogex("query", "SELECT gen_random_uuid() AS u", "-o", "json").stdout)
    assert len(uuid["u"]) == 36


@pytest.mark.parametrize("command", ["clear-data", "clear-options", "clear-underlying"])
@pytest.mark.parametrize("typed", [None, "", "yes\n", "\n", "zerogex\n"])
def test_clearing_needs_the_databases_name(
    command: str, typed: str | None, zerogex: Run, store: PostgresStore, database: DatabaseConfig
) -> None:
    store.write_bars([bar(OPEN, 1, 1)])
    result = zerogex("db", command, typed=typed)
    assert result.exit_code == 1
    assert "nothing was cleared" in result.stderr
    assert count(database, "underlying_quotes") == 1


def test_clearing_saves_a_dump_that_can_be_restored_first(
    zerogex: Run, filled: PostgresStore, database: DatabaseConfig, environment: dict[str, str]
) -> None:
    before = contents(database)
    assert before["option_chains"][0] == 7 * 160
    result = zerogex("db", "clear-data", typed=f"{database.dbname}\n")
    assert result.exit_code == 0, result.output
    (dump,) = (Path(environment["ZEROGEX_HOME"]) / "dumps").iterdir()
    assert str(dump) in result.stderr
    assert dump.stat().st_mode & 0o077 == 0
    assert {table: count(database, table) for table in upkeep.TABLES[upkeep.Part.DATA]} == dict.fromkeys(
        upkeep.TABLES[upkeep.Part.DATA], 0
    )
    assert count(database, "feed_state") == 1
    result = zerogex("db", "restore", str(dump))
    assert result.exit_code == 0, result.output
    fresh = replace(database, dbname=f"{database.dbname}_restored")
    assert f"DB_NAME={fresh.dbname}" in result.stderr
    assert contents(fresh) == before
    again = zerogex("db", "restore", str(dump))
    assert again.exit_code == 74 and "is there already; name another with --into" in again.stderr


def contents(config: DatabaseConfig) -> dict[str, tuple[int, str]]:
    """Rows and a hash of each table with data, and of what says whether they are simulated."""
    found = {}
    with psycopg.connect(**config.parameters()) as connection:
        for table in (*upkeep.TABLES[upkeep.Part.DATA], "feed_state"):
            row = connection.execute(
                f"SELECT count(*), md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} AS t"
            ).fetchone()
            assert row is not None
            found[table] = row
    return found


def test_copied_tables_are_restored_with_the_days_they_need(
    zerogex: Run, filled: PostgresStore, database: DatabaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(upkeep, "program", lambda name, version=None: None)
        saved = upkeep.dump(database, tmp_path / "dumps", datetime(2026, 2, 20, tzinfo=UTC))
    result = zerogex("db", "restore", str(saved), "--into", f"{database.dbname}_copied")
    assert result.exit_code == 0, result.output
    assert contents(replace(database, dbname=f"{database.dbname}_copied")) == contents(database)


def test_what_is_no_dump_makes_no_database(zerogex: Run, database: DatabaseConfig, tmp_path: Path) -> None:
    (tmp_path / "text.dump").write_text("no archive")
    for name, sentence in (
        ("nowhere", "there is no dump"),
        ("text.dump", "cannot be restored"),
        (".", "no table in it"),
    ):
        result = zerogex("db", "restore", str(tmp_path / name), "--into", f"{database.dbname}_never")
        assert result.exit_code == 74 and sentence in result.stderr, name
    assert f"{database.dbname}_never" not in databases(database)


@pytest.fixture(scope="module")
def saved_table() -> bytes:
    """A table as a dump saves it, gzipped: fifty thousand rows that gzip cannot make small."""
    numbers = np.random.default_rng(1).integers(0, 10**9, 50_000)
    rows = "".join(f"SPX,2026-02-20 14:30:00+00,{number}\n" for number in numbers)
    return gzip.compress(f"symbol,timestamp,open\n{rows}".encode())


@pytest.mark.parametrize(
    ("table", "change", "said"),
    [
        ("underlying_quotes", lambda good: b"no gzip", "is damaged (Not a gzipped file (b'no'))"),
        ("underlying_quotes", lambda good: gzip.compress(b""), "is damaged (it is empty)"),
        ("underlying_quotes", lambda good: b"", "is damaged (it is empty)"),
        ("underlying_quotes", lambda good: good[: len(good) // 2], "is damaged (it is cut off)"),
        ("underlying_quotes", lambda good: good[:5000] + b"\xff" * 50 + good[5050:], "is damaged ("),
        ("underlying_quotes", lambda good: gzip.compress(b"symbol,timestamp\nSPX\n"), "is damaged (missing data for"),
        ("underlying_quotes", lambda good: gzip.compress(b"symbol,colour\nA,red\n"), "is not a dump of this program ("),
        ("books", lambda good: good, 'is not a dump of this program (relation "books" does not exist)'),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_said_in_one_sentence_and_leaves_no_database(
    zerogex: Run, database: DatabaseConfig, tmp_path: Path, saved_table: bytes,
    table: str, change: Callable[[bytes], bytes], said: str,
) -> None:  # fmt: skip
    (tmp_path / "saved.csv").mkdir()
    file = tmp_path / f"saved.csv/{table}.csv.gz"
    file.write_bytes(change(saved_table))
    result = zerogex("db", "restore", str(tmp_path / "saved.csv"), "--into", f"{database.dbname}_never")
    assert result.exit_code == 74
    assert f"{file} {said}" in result.stderr and result.stderr.count("\n") == 1
    assert f"{database.dbname}_never" not in databases(database)


def test_a_dump_that_is_cut_off_or_anothers_leaves_no_database(
    zerogex: Run, filled: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    pg_dump = upkeep.program("pg_dump")
    if pg_dump is None:
        pytest.skip("pg_dump is not on this machine")
    saved = upkeep.dump(database, tmp_path, datetime(2026, 2, 20, tzinfo=UTC))
    cut, foreign = tmp_path / "cut.dump", tmp_path / "foreign.dump"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size * 3 // 4])
    subprocess.run(
        [pg_dump, "--format=custom", "--dbname=postgres", f"--file={foreign}"],
        env=upkeep.libpq_environment(database), check=True,
    )  # fmt: skip
    for file, said in ((cut, "is damaged and cannot be restored ("), (foreign, "is not a dump of this program (")):
        result = zerogex("db", "restore", str(file), "--into", f"{database.dbname}_never")
        assert (result.exit_code, result.stderr.count("\n")) == (74, 1)
        assert f"{file} {said}" in result.stderr
        assert f"{database.dbname}_never" not in databases(database)


def test_a_new_database_that_cannot_be_dropped_again_is_named_with_the_command_that_does(
    database: DatabaseConfig,
) -> None:
    target = replace(database, dbname=f"{database.dbname}_held")
    with (
        psycopg.connect(**database.parameters(), autocommit=True) as connection,
        pytest.raises(StoreError) as caught,
        restore._made(target),
    ):
        connection.execute(f'ALTER DATABASE "{target.dbname}" IS_TEMPLATE true')  # which no one can drop
        raise StoreError("x.csv.gz is damaged")
    assert str(caught.value).startswith("x.csv.gz is damaged; the unfinished database is left (")
    assert str(caught.value).endswith(f"zerogex db psql -d postgres -c 'DROP DATABASE \"{target.dbname}\"'")


def databases(config: DatabaseConfig) -> set[str]:
    with psycopg.connect(**config.parameters()) as connection:
        known = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    assert config.dbname in known
    return known


KEPT = {"api_keys", "feed_state", "schema_migrations", "vendor_requests", "writers"} | {
    f"alert{name}" for name in ("s", "_rules", "_standings", "_deliveries", "_channels")
}  # no market data


def test_every_table_is_either_cleared_or_kept_on_purpose(database: DatabaseConfig) -> None:
    with psycopg.connect(**database.parameters()) as connection:
        tables = {name for (name,) in connection.execute(statement("tables"))}
    assert tables - set(upkeep.TABLES[upkeep.Part.DATA]) <= KEPT


def test_clearing_a_part_leaves_the_rest(zerogex: Run, filled: PostgresStore, database: DatabaseConfig) -> None:
    assert zerogex("db", "clear-options", "--yes", "--no-dump").exit_code == 0
    assert (count(database, "option_chains"), count(database, "underlying_quotes")) == (0, 8)
    assert zerogex("db", "clear-underlying", "--yes", "--no-dump").exit_code == 0
    assert count(database, "underlying_quotes") == 0


def test_nothing_is_cleared_when_the_dump_fails(
    zerogex: Run, filled: PostgresStore, database: DatabaseConfig, environment: dict[str, str]
) -> None:
    home = Path(environment["ZEROGEX_HOME"])
    home.mkdir()
    (home / "dumps").write_text("a file where the folder should be")
    result = zerogex("db", "clear-data", "--yes")
    assert result.exit_code == 74
    assert "no dump can be written" in result.stderr
    assert count(database, "underlying_quotes") == 8


def test_without_pg_dump_the_tables_are_copied(
    filled: PostgresStore, database: DatabaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "program", lambda name, version=None: None)
    folder = upkeep.dump(database, tmp_path / "dumps", datetime(2026, 2, 20, tzinfo=UTC))
    with gzip.open(folder / "underlying_quotes.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    assert lines[0].startswith("symbol,timestamp,open")
    assert len(lines) == 9


def test_the_maintenance_commands_do_their_work(zerogex: Run, filled: PostgresStore, database: DatabaseConfig) -> None:
    assert "vacuumed option_chains" in zerogex("db", "vacuum").stderr
    assert "no materialized view" in zerogex("db", "refresh-views").stderr
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        connection.execute("CREATE MATERIALIZED VIEW busiest AS SELECT count(*) AS n FROM option_chains")
        connection.execute("DELETE FROM option_chains")
        assert "refreshed public.busiest" in zerogex("db", "refresh-views").stderr
        assert connection.execute("SELECT n FROM busiest").fetchone() == (0,)


def test_init_migrate_check_and_status_work_from_nothing(
    zerogex: Run, environment: dict[str, str], database: DatabaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_NAME", f"{database.dbname}_new")
    missing = zerogex("db", "check")
    assert missing.exit_code == 69
    assert "does not exist" in missing.stderr
    assert f"made database '{database.dbname}_new'" in zerogex("db", "init").stderr
    assert "nothing to do" in zerogex("db", "migrate").stderr
    assert zerogex("db", "check").exit_code == 0
    status = {row["what"]: row["value"] for row in json.loads(zerogex("db", "status", "-o", "json").stdout)}
    assert (status["database"], status["writing now"]) == (f"{database.dbname}_new", "nobody")
    refused = zerogex("db", "start")
    assert refused.exit_code == 74
    assert "is configured" in refused.stderr


def test_psql_gets_the_connection_and_never_the_password_as_an_argument(
    environment: dict[str, str], filled: PostgresStore
) -> None:
    if upkeep.program("psql") is None:
        pytest.skip("psql is not on this machine")
    text = "SELECT count(*), current_setting('TimeZone') FROM underlying_quotes"
    command = [sys.executable, "-m", "zerogex", "db", "psql", "-Atc", text]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.stdout == "8|America/New_York\n", done.stderr
    away = {**os.environ, **environment, "DB_HOST": "127.0.0.1", "DB_PORT": "1"}
    done = subprocess.run(command, env=away, capture_output=True, text=True, check=False)
    assert done.returncode == 69 and "port 1 failed" in done.stderr
    secret = DatabaseConfig(password="s3cret")
    assert upkeep.libpq_environment(secret)["PGPASSWORD"] == "s3cret"
    assert "s3cret" not in repr(secret)


def test_an_unreachable_database_is_one_sentence_and_exit_code_69(
    zerogex: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    monkeypatch.setenv("DB_PORT", "1")
    for words in (["show", "stats"], ["query", "SELECT 1"], ["flow"], ["quality"], ["db", "vacuum"],
                  ["db", "clear-data", "--yes"], ["db", "check"], ["db", "init"], ["db", "status"]):  # fmt: skip
        result = zerogex(*words)
        assert result.exit_code == 69, (words, result.output)
        assert "cannot reach database" in result.stderr


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A home for an embedded server that nothing else uses."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "ZEROGEX"))}
    yield {**outside, "ZEROGEX_HOME": str(tmp_path / "home"), "ZEROGEX_ENV_FILE": str(tmp_path / "none.env")}


def test_the_embedded_database_is_kept_running_until_it_is_let_go(embedded: dict[str, str]) -> None:
    def db(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "zerogex", "db", *words]
        return subprocess.run(command, env=embedded, capture_output=True, text=True, check=False, timeout=60)

    started = db("start", "--detach")
    assert "is running" in started.stderr
    assert "kept running already" in db("start").stderr
    assert "applied 0001_minutes" in db("init").stderr
    assert "is let go" in db("stop").stderr
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (Path(embedded["ZEROGEX_HOME"]) / "postgres/postmaster.pid").exists():
        time.sleep(0.1)
    assert not (Path(embedded["ZEROGEX_HOME"]) / "postgres/postmaster.pid").exists()
    assert "nothing keeps" in db("stop").stderr


def test_a_day_is_a_new_york_day_for_every_question(zerogex: Run, store: PostgresStore) -> None:
    evening = datetime(2026, 2, 21, 0, 30, tzinfo=UTC)  # 19:30 on Friday in New York
    store.write_bars([bar(OPEN, 1, 1), bar(evening, 5, 5)])
    rows = json.loads(
        zerogex("show", "flow-buying-pressure", "--day", "2026-02-20", "--minutes", "1440", "-o", "json").stdout
    )
    assert [row["up_volume"] for row in rows] == [4, 1]
    assert zerogex("show", "flow-buying-pressure", "--day", "tomorrow").exit_code == 2

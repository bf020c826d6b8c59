"""The API over a real PostgreSQL and a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from served import NOON, Served, cut_off, market_chain, serving, until
from zerogex.ports import FeedState
from zerogex.serving.asked import cursor_of
from zerogex.serving.guard import SECURITY_HEADERS
from zerogex.serving.page import DASHBOARD
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def served(store: PostgresStore) -> Iterator[Served]:
    with serving(store, symbols=("SPY",), heartbeat_s=0.2) as served:
        yield served


@pytest.fixture(scope="module")
def standing(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that change nothing."""
    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        chain = market_chain(690.5, NOON)
        store.write_latest(chain, chain.is_live)
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served
    store.close()


@pytest.fixture
def http(served: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{served.address}/api/v1", timeout=10) as client:
        yield client


def body(http: httpx2.Client, path: str, **parameters: Any) -> Any:
    answer = http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for(
    http: httpx2.Client, path: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True
) -> dict[str, Any]:
    """The body of a route once it answers 200 and `holds`."""

    def ask() -> dict[str, Any] | None:
        answer = http.get(path)
        return answer.json() if answer.status_code == 200 and holds(answer.json()) else None

    return until(ask)


def test_every_number_of_the_analysis_arrives_unchanged(served: Served, http: httpx2.Client) -> None:
    written = served.publish()
    summary = wait_for(http, "/SPY/summary")
    for name, value in written.items():
        if name in summary:
            assert summary[name] == value, name
    assert body(http, "/SPY/strikes")["by_strike"] == written["by_strike"]
    assert body(http, "/SPY/expirations")["by_expiration"] == written["by_expiration"]
    assert body(http, "/SPY/profile")["profile"] == written["profile"]
    assert body(http, "/SPY/levels")["levels"] == written["levels"]


@pytest.mark.parametrize("view", ["summary", "strikes", "expirations", "profile", "levels", "bars", "history"])
def test_every_payload_says_how_old_it_is(served: Served, http: httpx2.Client, view: str) -> None:
    served.publish()
    served.publish_bars(3)
    wait_for(http, "/SPY/summary")
    served.clock.advance(4.0)
    said = wait_for(http, f"/SPY/{view}", lambda said: said["data_timestamp"] is not None)
    assert said["age_seconds"] == (4.0 if view != "bars" else 64.0)
    assert (said["session"], said["state"], said["simulated"]) == ("regular", "simulated", True)
    assert said["coverage"]["pct"] == 100.0
    assert said["computed_at"] == "2026-02-20T17:00:00Z"


def test_a_stalled_underlying_makes_its_exposures_stale_until_it_is_heard(served: Served, http: httpx2.Client) -> None:
    row = served.publish(700.0)
    stalled = served.publish(700.0, coverage=row["coverage"] | {"spot_age_s": 90.0})
    found = wait_for(http, "/SPY/summary", lambda answer: answer["spot_stale"])
    assert (found["state"], found["stale"], found["spot"]) == ("stale", True, stalled["spot"])
    assert found["spot_age_seconds"] >= 90.0 > found["age_seconds"]
    served.publish(701.0)
    found = wait_for(http, "/SPY/summary", lambda answer: not answer["spot_stale"])
    assert (found["state"], found["stale"]) == ("simulated", False)


def test_a_symbol_may_be_written_small(served: Served, http: httpx2.Client) -> None:
    served.publish()
    assert wait_for(http, "/spy/summary")["underlying"] == "SPY"


def test_bars_are_the_stored_minutes(served: Served, http: httpx2.Client) -> None:
    bars = served.publish_bars(10)
    served.publish()
    said = wait_for(http, "/SPY/bars", lambda said: len(said["bars"]) == 10)["bars"]
    assert [bar["close"] for bar in said] == [bar.close for bar in bars]
    assert said[0]["timestamp"] == bars[0].timestamp.isoformat().replace("+00:00", "Z")


def test_a_span_of_bars_is_paged(served: Served, http: httpx2.Client) -> None:
    bars = served.publish_bars(10)
    wait_for(http, "/symbols", lambda said: said["database"] == "up")
    start, end = (NOON - timedelta(minutes=8)).isoformat(), NOON.isoformat()
    first = body(http, "/SPY/bars", start=start, end=end, limit=5)
    rest = body(http, "/SPY/bars", start=first["next_start"], end=end, limit=5)
    assert [bar["close"] for bar in first["bars"] + rest["bars"]] == [bar.close for bar in bars[2:]]
    assert rest["next_start"] is None


def test_the_history_is_what_the_store_has(served: Served, http: httpx2.Client) -> None:
    from served import analyze, market_chain

    for ago in (2, 1):
        at = NOON - timedelta(minutes=ago)
        served.store.write_analysis(analyze(market_chain(690.0 + ago, at)), at)
    wait_for(http, "/symbols", lambda said: said["database"] == "up")
    rows = body(http, "/SPY/history")["history"]
    assert [row["timestamp"] for row in rows] == ["2026-02-20T16:58:00Z", "2026-02-20T16:59:00Z"]
    assert all(isinstance(row["net_gex"], float) for row in rows)


def test_an_unchanged_answer_is_not_sent_again(served: Served, http: httpx2.Client) -> None:
    served.publish()
    wait_for(http, "/SPY/strikes")
    first = http.get("/SPY/strikes")
    again = http.get("/SPY/strikes", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    served.publish(spot=691.0)
    wait_for(http, "/SPY/strikes", lambda said: said["spot"] == 691.0)
    assert http.get("/SPY/strikes", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_a_change_of_state_alone_is_sent_again(served: Served, http: httpx2.Client) -> None:
    served.publish()
    wait_for(http, "/SPY/summary")
    etag = http.get("/SPY/summary").headers["etag"]
    served.clock.advance(31.0)
    later = http.get("/SPY/summary", headers={"If-None-Match": etag})
    assert (later.status_code, later.json()["state"]) == (200, "stale")


def test_large_answers_travel_compressed(served: Served, http: httpx2.Client) -> None:
    served.publish()
    wait_for(http, "/SPY/strikes")
    assert http.get("/SPY/strikes").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in http.get("/SPY/strikes", headers={"Accept-Encoding": "identity"}).headers


@pytest.mark.parametrize("path", ["/", "/assets/main.js", "/api/v1/symbols", "/api/v1/NOPE/summary", "/nowhere"])
def test_every_answer_carries_the_security_headers(standing: Served, path: str) -> None:
    headers = httpx2.get(standing.address + path).headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "server" not in headers


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/NOPE/summary", 404, "unknown_symbol"),
        (f"/api/v1/{quote(EVIL, safe='')}/summary", 404, "unknown_symbol"),
        ("/api/v1/SPY%00/bars", 404, "unknown_symbol"),
        ("/api/v1/SPY'%20OR%201=1/history", 404, "unknown_symbol"),
        ("/api/v1/SPY/nonsense", 404, "not_found"),
        ("/assets/../app.py", 404, "not_found"),
        ("/assets/..%2fapp.py", 404, "not_found"),
        ("/assets/%2e%2e/%2e%2e/app.py", 404, "not_found"),
        ("/assets//etc/passwd", 404, "not_found"),
        ("/docs", 404, "not_found"),
        ("/api/v1/SPY/bars?limit=0", 422, "invalid_parameter"),
        ("/api/v1/SPY/bars?limit=1000000", 422, "invalid_parameter"),
        ("/api/v1/SPY/bars?start=yesterday", 422, "invalid_parameter"),
        ("/api/v1/SPY/bars?start=2026-02-20T15:00:00", 422, "invalid_parameter"),
        ("/api/v1/SPY/bars?start=0", 422, "invalid_parameter"),
        ("/api/v1/SPY/bars?cursor=bm9uZQ", 404, "unknown_cursor"),
        ("/api/v1/SPY/history?cursor=%00", 404, "unknown_cursor"),
        (
            f"/api/v1/SPY/bars?cursor={cursor_of(['9999-12-31T23:59:58Z', '9999-12-31T23:59:59Z'])}",
            404,
            "unknown_cursor",
        ),
        (
            f"/api/v1/SPY/history?cursor={cursor_of(['0001-01-01T00:00:00Z', '0001-01-02T00:00:00Z'])}",
            404,
            "unknown_cursor",
        ),
        (
            f"/api/v1/SPY/history?cursor={cursor_of(['2026-02-20T00:00:00Z', '2026-02-19T00:00:00Z'])}",
            404,
            "unknown_cursor",
        ),
        ("/api/v1/SPY/flow/type?day=0", 422, "invalid_parameter"),
        ("/api/v1/SPY/flow/nonsense", 404, "not_found"),
        ("/api/v1/SPY/heatmap?measures=net_gex,nonsense", 422, "invalid_parameter"),
        ("/api/v1/SPY/strikes?expirations=2026-02-21", 404, "unknown_expiration"),
        ("/api/v1/SPY/strikes?expirations=soon", 422, "invalid_parameter"),
        ("/api/v1/SPY/strikes?dealer_model=evil", 422, "invalid_parameter"),
        ("/api/v1/SPY/strikes?format=exe", 422, "invalid_parameter"),
        ("/api/v1/SPY/summary?as_of=2001-01-01T00:00:00Z", 404, "no_history"),
    ],
)
def test_an_error_is_a_problem_document(standing: Served, path: str, status: int, code: str) -> None:
    with httpx2.Client(base_url=standing.address) as client:
        until(lambda: client.get("/api/v1/health/ready").status_code == 200)
        answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["hint"]
    assert problem["detail"]


ISO = "ISO 8601 with an offset, such as 2026-02-20T14:30:00Z"
WORDS = "expected all, 0dte, next, or ISO dates; comma separated."


@pytest.mark.parametrize(
    ("path", "detail", "hint"),
    [
        ("bars?limit=0", "limit is '0': expected a whole number from 1 to 5000.", "limit: rows at most"),
        ("bars?limit=many", "limit is 'many': expected a whole number from 1 to 5000.", "limit: rows at most"),
        ("flow/type?minutes=9999", "minutes is '9999': expected a whole number from 1 to 1440.", "minutes: how many"),
        ("bars?start=yesterday", f"start is 'yesterday': expected {ISO}.", "for example start=2026-02-20T14:30:00Z"),
        ("quality?day=20", "day is '20': expected a day such as 2026-02-20.", "day: a New York day"),
        ("quality?day=2026-02-30", "day is '2026-02-30': expected a valid date", "day: a New York day"),
        ("quality?day=9999-01-01", "expected a day from 1970-01-02 to 2999-12-30.", "day: a New York day"),
        ("summary?expirations=soon", f"expirations is 'soon': {WORDS}", "for example expirations=0dte"),
        ("summary?expirations=" + "x" * 2500, "…: expected at most 2000 characters.", "expirations: all, 0dte"),
        ("summary?dealer_model=evil", "expected 'naive', 'short_all', 'long_all' or 'inverse'.", "dealer_model:"),
        ("summary?format=exe", "expected 'json', 'csv', 'ndjson', 'parquet' or 'arrow'.", "format: json, or rows"),
        ("heatmap?measures=gold", "'gold': expected matrices, comma separated, of ", "for example measures=net_gex"),
        ("summary?expiration=0dte", "'expiration' is no parameter of /api/v1/SPY/summary: expected as_of, dealer_model,"
         " expirations, format.", "Did you mean expirations?"),
        ("bars?bogus=1", "'bogus' is no parameter of /api/v1/SPY/bars: expected as_of, cursor,", "Leave it out"),
        ("bars?limit=1&limit=2", "limit came 2 times: expected once.", "limit: rows at most"),
        ("summary?as_of=2030-01-01T00:00:00Z", "as_of 2030-01-01T00:00:00Z lies after now (2026-02-20T17:00:00Z)",
         "Leave `as_of` out"),
        ("bars?as_of=2026-02-20T17:01:01Z", "lies after now", "Leave `as_of` out"),
        ("summary?as_of=9999-01-01T00:00:00Z", "an instant from 1970-01-02T00:00:00Z to 2999-12-30T00:00:00Z.", "past"),
        ("summary?as_of=0001-01-01T00:00:00Z", "as_of is '0001-01-01T00:00:00Z': expected an instant from", "past"),
        ("history?start=0001-01-01T00:00:00%2B14:00", "expected an instant from 1970-01-02", "start:"),
        ("bars?start=2026-02-20T15:00:00Z&end=2026-02-20T14:00:00Z",
         "start 2026-02-20T15:00:00Z lies after end (2026-02-20T14:00:00Z)", "[start, end)"),
        ("history?start=2026-02-20T15:00:00Z&as_of=2026-02-20T14:00:00Z", "lies after as_of", "[start, end)"),
        ("history?start=2026-02-20T17:30:00Z", "lies after now (2026-02-20T17:00:00Z)", "[start, end)"),
    ],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_named_with_what_came_and_what_was_expected(
    standing: Served, path: str, detail: str, hint: str
) -> None:
    answer = httpx2.get(f"{standing.address}/api/v1/SPY/{path}")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_parameter")
    assert detail in problem["detail"]
    assert hint in problem["hint"]


def test_several_wrong_parameters_are_told_together(standing: Served) -> None:
    problem = httpx2.get(f"{standing.address}/api/v1/SPY/bars?limit=0&start=x").json()
    assert [fault["where"] for fault in problem["faults"]] == ["query.start", "query.limit"]
    assert problem["detail"] == " ".join(fault["what"] for fault in problem["faults"])


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_a_load_balancer_may_add_what_it_likes_to_its_question(standing: Served, path: str) -> None:
    assert httpx2.get(f"{standing.address}/api/v1{path}?probe=7").status_code == 200


@pytest.mark.parametrize("path", ["/symbols", "/levels", "/alerts", "/me", "/version"])
def test_no_route_ignores_a_parameter(standing: Served, path: str) -> None:
    answer = httpx2.get(f"{standing.address}/api/v1{path}?bogus=1")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


@pytest.mark.parametrize(
    "path",
    ["/levels", "/SPY/summary", "/SPY/heatmap", "/SPY/heatmap?by=time", "/SPY/smile", "/SPY/chain", "/SPY/bars",
     "/SPY/history", "/SPY/quality", "/SPY/flow/type"],
)  # fmt: skip
def test_nothing_is_answered_as_of_an_instant_to_come(standing: Served, path: str) -> None:
    asked = f"{standing.address}/api/v1{path}{'&' if '?' in path else '?'}as_of="
    assert httpx2.get(f"{asked}2026-02-20T17:01:01Z").status_code == 422
    assert httpx2.get(f"{asked}2026-02-20T17:01:00Z").status_code != 422  # the caller's clock may be ahead


def test_a_write_is_refused(standing: Served) -> None:
    assert httpx2.post(f"{standing.address}/api/v1/symbols", json={}).json()["code"] == "method_not_allowed"


def test_a_symbol_still_waiting_for_its_first_analysis_says_so(served: Served, http: httpx2.Client) -> None:
    until(lambda: http.get("/health/ready").status_code == 200)
    answer = http.get("/SPY/summary")
    assert (answer.status_code, answer.json()["code"]) == (503, "waiting_for_data")
    assert int(answer.headers["retry-after"]) > 0
    assert body(http, "/symbols")["symbols"] == [{"symbol": "SPY", "waiting": True}]


def test_whatever_an_underlying_is_called_it_can_be_asked_for(served: Served, http: httpx2.Client) -> None:
    served.publish(symbol=EVIL)
    assert wait_for(http, f"/{quote(EVIL, safe='')}/summary")["underlying"] == EVIL


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_foreign_hosts_and_origins_are_refused(standing: Served, headers: dict[str, str]) -> None:
    answer = httpx2.get(f"{standing.address}/api/v1/symbols", headers=headers)
    assert answer.status_code in (403, 421)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_is_cached_and_compressed(standing: Served) -> None:
    with httpx2.Client(base_url=standing.address) as client:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
        name = next(path.name for path in sorted((DASHBOARD / "vendor").glob("*.js")))
        library = client.get(f"/assets/vendor/{name}")
        assert library.headers["content-encoding"] == "gzip"
        assert "immutable" in library.headers["cache-control"]
        assert client.head("/").status_code == 200


def test_the_routes_describe_themselves(standing: Served) -> None:
    paths = httpx2.get(f"{standing.address}/api/v1/openapi.json").json()["paths"]
    assert "/api/v1/{symbol}/summary" in paths
    assert all(operation["get"]["description"] for operation in paths.values())


def test_a_feed_that_refuses_us_is_said_by_the_readiness(served: Served, http: httpx2.Client) -> None:
    served.publish()
    assert wait_for(http, "/health/ready")["feed"] == "ok"
    served.store.announce_feed(FeedState("simulated", True))
    served.store.note_feed_trouble("sign in again")
    told = wait_for(http, "/health/ready", lambda said: said["feed"] != "ok")
    assert (told["status"], told["feed"], told["feed_trouble"]) == ("ready", "refused", "sign in again")


def test_without_its_database_the_server_shows_the_last_known_and_says_so(
    served: Served, http: httpx2.Client, database: DatabaseConfig
) -> None:
    written = served.publish()
    served.publish_bars(3)
    wait_for(http, "/SPY/summary")
    wait_for(http, "/SPY/bars", lambda said: len(said["bars"]) == 3)
    cut_off(database)
    until(lambda: http.get("/health/ready").status_code == 503)
    said = body(http, "/SPY/summary")
    assert (said["net_gex"], said["stale"], said["database"]) == (written["net_gex"], True, "down")
    assert len(body(http, "/SPY/bars")["bars"]) == 3
    assert http.get("/health/live").status_code == 200
    history = http.get("/SPY/history")
    assert (history.status_code, history.json()["code"]) == (503, "database_unavailable")
    assert int(history.headers["retry-after"]) > 0
    cut_off(database, away=False)
    until(lambda: http.get("/health/ready").status_code == 200)
    served.publish(spot=692.0)
    assert wait_for(http, "/SPY/summary", lambda said: said["spot"] == 692.0)["stale"] is False


def test_a_server_started_without_its_database_is_alive_but_not_ready(
    store: PostgresStore, database: DatabaseConfig
) -> None:
    cut_off(database)
    with serving(store) as served, httpx2.Client(base_url=f"{served.address}/api/v1") as http:
        assert http.get("/health/live").status_code == 200
        for path in ("/health/ready", "/SPY/summary", "/NOPE/summary", "/SPY/bars"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), path
        assert body(http, "/symbols")["database"] == "down"

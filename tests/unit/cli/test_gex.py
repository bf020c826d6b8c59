"""`zerogex gex`: options, forms of output, exit codes."""

import csv
import io
import json
import math
import re
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from zerogex.cli.gex import gex, instant_of, rate_of
from zerogex.domain.calendar import settlement
from zerogex.errors import ChainFileError, ZerogexError

AS_OF, SPOT = datetime(2024, 6, 4, 15, 30, tzinfo=UTC), 5290.25
KEYS = {
    "underlying", "spot", "data_timestamp", "gamma_flip", "gamma_flip_status", "flip_crossings", "call_wall",
    "put_wall", "max_gamma_strike", "max_pain", "max_pain_by_expiration", "put_call_ratio_oi", "put_call_ratio_volume",
    "coverage", "by_strike", "by_expiration", "call_gex", "put_gex", "net_gex", "gross_gex", "gex_shares_per_dollar",
    "dex", "vanna_exposure", "charm_exposure", "vega_exposure", "notes", "dealer_model", "greeks", "rate",
}  # fmt: skip

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(gex)


@pytest.fixture(autouse=True)
def _plain_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .env and no RISK_FREE_RATE of the machine that runs the tests."""
    monkeypatch.setenv("ZEROGEX_ENV_FILE", str(tmp_path / "none"))
    for name in ("RISK_FREE_RATE", "DIVIDEND_YIELD", "DEALER_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def chain_frame() -> pl.DataFrame:
    rows = []
    for root, day in (("SPXW", date(2024, 6, 4)), ("SPXW", date(2024, 6, 7)), ("SPX", date(2024, 6, 21))):
        years = (settlement(root, day) - AS_OF).total_seconds() / (365 * 86_400)
        for step in range(41):
            strike = 5190.0 + 5 * step
            for right, sign in (("C", 1), ("P", -1)):
                width = 0.13 * math.sqrt(years)
                d1 = math.log(SPOT / strike) / width + width / 2
                cdf = NormalDist().cdf
                value = sign * (SPOT * cdf(sign * d1) - strike * cdf(sign * (d1 - width)))
                rows.append({
                    "asof": AS_OF, "underlying": "SPX", "spot": SPOT, "root": root, "expiration": day,
                    "strike": strike, "right": right, "bid": max(round(value - 0.05, 2), 0.0),
                    "ask": round(value + 0.05, 2), "last": value, "volume": step,
                    "open_interest": 100 + 7 * step if right == "C" else 400 - 7 * step,
                    "iv": 0.13, "delta": sign * cdf(sign * d1), "gamma": 0.001,
                })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"asof": pl.Datetime("us", "UTC")})


@pytest.fixture
def chain_path(chain_frame: pl.DataFrame, tmp_path: Path) -> str:
    path = tmp_path / "chain.parquet"
    chain_frame.write_parquet(path)
    return str(path)


def run(*arguments: str, **options: Any) -> Result:
    result = CliRunner().invoke(app, list(arguments), **options)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def document(*arguments: str, **options: Any) -> dict[str, Any]:
    result = run(*arguments, "-o", "json", **options)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert isinstance(answer, dict)
    return answer


def test_json_has_the_published_keys_and_sums_that_agree(chain_path: str) -> None:
    answer = document(chain_path)
    assert set(answer) >= KEYS
    assert answer["underlying"] == "SPX"
    assert answer["data_timestamp"] == "2024-06-04T15:30:00Z"
    assert answer["rate"] == 0.05
    assert answer["gamma_flip_status"] == "resolved"
    assert answer["put_wall"] <= SPOT <= answer["call_wall"]
    for table in ("by_strike", "by_expiration"):
        assert sum(row["net_gex"] for row in answer[table]) == pytest.approx(answer["net_gex"], rel=1e-12)


def test_csv_is_the_table_by_strike(chain_path: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run(chain_path, "-o", "csv").stdout)))
    answer = document(chain_path)
    assert [float(row["strike"]) for row in rows] == [row["strike"] for row in answer["by_strike"]]
    assert sum(float(row["net_gex"]) for row in rows) == pytest.approx(answer["net_gex"])


def test_the_table_fits_eighty_columns_and_names_every_level(chain_path: str) -> None:
    text = run(chain_path).stdout
    assert max(map(len, text.splitlines())) <= 80
    for word in ("SPX 5,290.25", "Net GEX", "Gamma flip", "Call wall", "Put wall", "Max pain", "Expected move",
                 "11:30:00 ET", "dealers long calls, short puts", "◀ spot", "2024-06-21", "Coverage"):  # fmt: skip
        assert word in text


def test_vendor_greeks_are_the_files_own(chain_frame: pl.DataFrame, chain_path: str) -> None:
    answer = document(chain_path, "--greeks", "vendor")
    sign = pl.when(pl.col("right") == "C").then(1).otherwise(-1)
    expected = chain_frame.select((sign * pl.col("gamma") * pl.col("open_interest") * SPOT**2).sum()).item()
    assert answer["net_gex"] == pytest.approx(expected, rel=1e-12)
    assert answer["greeks"] == "vendor"


def test_vendor_greeks_are_refused_where_the_file_has_none(chain_frame: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    chain_frame.drop("gamma", "delta", "iv").write_csv(path)
    with pytest.raises(ChainFileError, match="no gamma of its own; use --greeks own"):
        run(str(path), "--greeks", "vendor")
    assert set(document(str(path))["coverage"]["iv_sources"]) == {"mid"}


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("all", ["2024-06-04", "2024-06-07", "2024-06-21"]),
        ("0dte", ["2024-06-04"]),
        ("next", ["2024-06-04"]),
        ("2", ["2024-06-04", "2024-06-07"]),
        ("first 2", ["2024-06-04", "2024-06-07"]),
        ("2024-06-21, 2024-06-07", ["2024-06-07", "2024-06-21"]),
    ],
)
def test_expirations_select(words: str, days: list[str], chain_path: str) -> None:
    assert [row["expiration"] for row in document(chain_path, "--expirations", words)["by_expiration"]] == days


@pytest.mark.parametrize("words", ["2031-01-01", "soon", "0", "2024-13-01"])
def test_expirations_that_are_not_there_are_wrong_usage(words: str, chain_path: str) -> None:
    result = run(chain_path, "--expirations", words)
    assert result.exit_code == 2
    assert "2024-06-0" in result.stderr or "none of" in result.stderr


def test_as_of_moves_the_instant_and_a_naive_time_is_new_yorks(chain_path: str) -> None:
    answer = document(chain_path, "--as-of", "2024-06-04T16:30")
    assert answer["data_timestamp"] == "2024-06-04T20:30:00Z"
    assert answer["coverage"]["live"] == 2 * 82
    assert document(chain_path, "--as-of", "2024-06-04T15:00:00Z")["data_timestamp"] == "2024-06-04T15:00:00Z"
    result = run(chain_path, "--as-of", "2024-06-04T16:30", "--expirations", "0dte")
    assert result.exit_code == 2
    assert "the next are 2024-06-07" in result.stderr


def test_a_chain_that_has_settled_is_an_answer_too(chain_path: str) -> None:
    answer = document(chain_path, "--as-of", "2025-01-01")
    assert answer["gamma_flip"] is None
    assert "Every contract of the chain has settled." in answer["notes"]
    said = run(chain_path, "--as-of", "2025-01-01")
    assert said.exit_code == 0
    assert re.search(r"Net GEX +- ", said.stdout)  # nothing to sum is no sum of nought


@pytest.mark.parametrize(("text", "rate"), [("0.0535", 0.0535), ("5.35%", 0.0535), ("-0.5 %", -0.005), ("0", 0.0)])
def test_a_rate_is_a_decimal_or_a_percentage(text: str, rate: float, chain_path: str) -> None:
    assert rate_of(text) == pytest.approx(rate)
    assert document(chain_path, f"--rate={text}")["rate"] == pytest.approx(rate)


@pytest.mark.parametrize("arguments", [["--rate", "5.35"], ["--rate", "five"], ["--as-of", "noon"], ["--dividend", "x"],
                                       ["--greeks", "mine"], ["-o", "xml"], ["--dealer-model", "long"]])  # fmt: skip
def test_options_that_mean_nothing_are_wrong_usage(arguments: list[str], chain_path: str) -> None:
    assert run(chain_path, *arguments).exit_code == 2


def test_a_bare_date_means_the_end_of_that_days_trading() -> None:
    assert instant_of("2024-06-04") == datetime(2024, 6, 4, 20, 15, tzinfo=UTC)


def test_the_default_rate_is_a_setting(chain_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_FREE_RATE", "0.031")
    assert document(chain_path)["rate"] == 0.031


@pytest.mark.parametrize(("model", "calls", "puts"), [("short_all", -1, -1), ("long_all", 1, 1), ("inverse", -1, 1)])
def test_dealer_models_turn_the_signs(model: str, calls: int, puts: int, chain_path: str) -> None:
    naive, other = document(chain_path), document(chain_path, "--dealer-model", model)
    assert other["call_gex"] == pytest.approx(calls * naive["call_gex"])
    assert other["put_gex"] == pytest.approx(-puts * naive["put_gex"])


def test_a_chain_may_come_through_a_pipe(chain_frame: pl.DataFrame, chain_path: str) -> None:
    piped = document("-", input=chain_frame.write_csv().encode())
    assert piped["net_gex"] == pytest.approx(document(chain_path)["net_gex"], rel=1e-12)


def test_a_file_that_is_no_chain_ends_with_code_65(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear sir,\nI have no chain.\n")
    with pytest.raises(ZerogexError) as caught:
        run(str(path))
    assert caught.value.exit_code == 65
    assert str(caught.value).startswith("letter.txt is not an option chain")


@pytest.mark.parametrize(
    "options", [[], ["--greeks", "vendor"], ["--as-of", "2025-01-01"], ["--dealer-model", "long_all"]]
)
def test_plot_draws_a_picture_and_keeps_stdout_for_data(options: list[str], chain_path: str, tmp_path: Path) -> None:
    picture = tmp_path / "gex.png"
    result = run(chain_path, *options, "-o", "json", "--plot", str(picture))
    json.loads(result.stdout)
    assert str(picture) in result.stderr
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000


def test_a_picture_that_cannot_be_written_is_one_sentence(chain_path: str, tmp_path: Path) -> None:
    for target in (tmp_path / "no folder" / "gex.png", tmp_path / "gex.nonsense"):
        with pytest.raises(ZerogexError, match="cannot be written") as caught:
            run(chain_path, "--plot", str(target))
        assert caught.value.exit_code == 74


def test_a_file_mostly_without_quotes_is_answered_from_its_own_volatilities_and_says_so(
    chain_frame: pl.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "unquoted.csv"
    chain_frame.with_columns(bid=pl.lit(0.0), ask=pl.lit(0.0)).write_csv(path)
    answer = document(str(path))
    assert answer["coverage"]["iv_sources"].get("api", 0) > 0
    assert any("not solved from quotes" in note for note in answer["notes"])

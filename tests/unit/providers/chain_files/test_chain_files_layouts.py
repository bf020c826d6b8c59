"""Every layout gives the same chain, however its author wrote it."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from zerogex.domain.calendar import settlement
from zerogex.domain.chain import OptionChain
from zerogex.domain.contract import parse_symbol
from zerogex.domain.iv import IvSource
from zerogex.providers.chain_files import ChainFile, read_chain_file

Read = Callable[..., ChainFile]
IDENTITY = ("symbol", "root", "expiration", "settlement", "strike", "is_call", "multiplier")
QUOTES = ("bid", "ask", "last", "volume", "open_interest")
SPOT = 5290.25


def assert_same(chain: OptionChain, reference: OptionChain, columns: tuple[str, ...] = IDENTITY + QUOTES) -> None:
    for name in columns:
        np.testing.assert_array_equal(getattr(chain, name), getattr(reference, name), err_msg=name)


@pytest.mark.parametrize("layout", ["quote table", "Cboe JSON", "TD JSON", "Cboe fields", "Yahoo", "CSV"])
def test_every_layout_tells_of_the_same_contracts_and_quotes(
    layout: str, sample: Any, reference: OptionChain, read: Read
) -> None:
    chain = read(sample.every_layout()[layout]).chain
    assert chain.underlying == "SPX"
    assert_same(chain, reference)


@pytest.mark.parametrize("layout", ["quote table", "Cboe JSON", "CSV"])
def test_vendor_volatility_and_greeks_come_along(layout: str, sample: Any, reference: OptionChain, read: Read) -> None:
    chain = read(sample.every_layout()[layout]).chain
    assert_same(chain, reference, ("iv", "delta", "gamma", "iv_source"))
    assert chain.spot == SPOT


def test_gzip_is_seen_by_content_and_not_by_name(
    sample: Any, reference: OptionChain, zipped: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    for name, data in (("a.csv", sample.quote_table()), ("b.parquet", sample.csv()), ("c.json", sample.parquet())):
        path = tmp_path / name
        path.write_bytes(zipped(data))
        assert_same(read_chain_file(path).chain, reference)


def test_a_contract_has_its_own_settlement_and_key(reference: OptionChain) -> None:
    third_friday = reference.expiration == np.datetime64("2024-06-21")
    for root in ("SPX", "SPXW"):
        rows = third_friday & (reference.root == root)
        assert set(reference.settlement[rows]) == {settlement(root, date(2024, 6, 21)).timestamp()}
    assert len(set(reference.symbol)) == len(reference)
    row = int(np.flatnonzero(reference.strike == 5112.5)[0])
    assert reference.symbol[row] == "SPXW 240604C5112.5"
    assert parse_symbol(reference.symbol[row]) == reference.contract(row)


def test_what_a_vendor_writes_for_unknown_becomes_no_value(sample: Any, read: Read) -> None:
    chain = read(sample.td_json()).chain
    assert np.isnan(chain.theta).all()
    assert np.isnan(chain.vega).all()
    assert np.isnan(chain.delta[~chain.is_live]).all()
    known = np.isfinite(chain.iv)
    assert set(np.round(chain.iv[known], 12)) == {0.13}  # percent in the file
    assert (chain.iv_source[known] == IvSource.API).all()
    assert (chain.iv_source[~known] == IvSource.NONE).all()
    assert not (chain.last == 0).any()


def test_yahoo_quotes_are_newer_than_its_spot_when_it_was_fetched_the_next_day(sample: Any, read: Read) -> None:
    chain_file = read(sample.yahoo("2024-06-05 14:10:03+00:00"))
    assert chain_file.chain.as_of == datetime(2024, 6, 5, 14, 10, 3, tzinfo=UTC)
    assert chain_file.chain.spot == pytest.approx(SPOT, abs=0.5)  # by parity, not the file's 5299.25
    assert any("older than its quotes" in note for note in chain_file.notes)
    same_day = read(sample.yahoo())
    assert same_day.chain.spot == SPOT + 9


def test_a_file_without_a_spot_gets_it_from_parity_and_says_so(sample: Any, read: Read) -> None:
    chain_file = read(sample.cboe_fields())
    assert chain_file.chain.spot == pytest.approx(SPOT, abs=0.01)
    assert any("put-call parity" in note for note in chain_file.notes)
    assert read(sample.csv(sample.frame.with_columns(spot=None))).chain.spot == pytest.approx(SPOT, abs=0.01)
    assert read(sample.cboe_json(current_price=None, close=0)).chain.spot == pytest.approx(SPOT, abs=0.01)


@pytest.mark.parametrize(
    ("rewrite", "why"),
    [
        (lambda text: "\ufeff" + text, "byte-order mark"),
        (lambda text: text.replace("\n", "\r\n"), "Windows line ends"),
        (lambda text: text.replace(",", ";"), "semicolons"),
        (lambda text: text.replace(",", "\t"), "tabs"),
        (lambda text: "\n\n" + text, "blank lines in front"),
        (lambda text: text.split("\n", 1)[0].upper() + "\n" + text.split("\n", 1)[1], "upper-case names"),
        (lambda text: text.replace("open_interest", '"Open Interest"', 1), "a name in quotes, with a blank"),
        (lambda text: text.rstrip("\n"), "no line end after the last row"),
    ],
)
def test_a_csv_may_be_written_in_many_ways(
    rewrite: Callable[[str], str], why: str, sample: Any, reference: OptionChain, read: Read
) -> None:
    assert_same(read(rewrite(sample.csv().decode()).encode()).chain, reference)


def test_utf_16_from_a_spreadsheet_is_read(sample: Any, reference: OptionChain, read: Read) -> None:
    assert_same(read(sample.csv().decode().encode("utf-16")).chain, reference)


def test_decimal_commas_go_with_semicolons(sample: Any, reference: OptionChain, read: Read) -> None:
    data = sample.csv(sample.frame.drop("asof"), separator=";").decode().replace(".", ",")
    chain = read(data.encode(), datetime(2024, 6, 4, 20, 15, tzinfo=UTC)).chain
    assert_same(chain, reference)
    assert chain.spot == SPOT


def test_columns_may_be_missing_strange_or_renamed(sample: Any, reference: OptionChain, read: Read) -> None:
    few = sample.frame.select("asof", "spot", "option", "bid", "ask", open_int="open_interest", rho=pl.lit(1.0))
    assert_same(read(sample.csv(few)).chain, reference, (*IDENTITY, "bid", "ask", "open_interest"))
    apart = sample.frame.select(
        quote_datetime="asof", underlying_price="spot", underlying_symbol=pl.lit("^SPX"), root="root",
        expiry=pl.col("expiration").dt.strftime("%m/%d/%Y"), option_type=pl.col("right").replace("C", "call"),
        strike_price="strike", oi="open_interest",
    )  # fmt: skip
    chain = read(sample.csv(apart)).chain
    assert_same(chain, reference, (*IDENTITY, "open_interest"))
    assert chain.underlying == "SPX"
    assert chain.spot == SPOT
    assert np.isnan(chain.bid).all()


def test_rows_as_json_are_the_table_in_other_clothes(sample: Any, reference: OptionChain, read: Read) -> None:
    frame = sample.frame.with_columns(pl.col("asof").dt.to_string("iso:strict"))
    assert_same(read(frame.write_json().encode()).chain, reference)


def test_symbols_of_tradestation_are_understood(sample: Any, reference: OptionChain, read: Read) -> None:
    texts = dict(zip(reference.symbol, reference.symbol, strict=True))
    by_osi = {f"{parse_symbol(s).root}{s.split()[1][:7]}{round(parse_symbol(s).strike * 1000):08d}": s for s in texts}
    frame = sample.frame.select("asof", "spot", "bid", "open_interest", option=pl.col("option").replace_strict(by_osi))
    assert_same(read(sample.csv(frame)).chain, reference, (*IDENTITY, "bid"))


@pytest.mark.parametrize(
    ("root", "underlying", "am"),
    [("NDXP", "NDX", False), ("NDX", "NDX", True), ("RUTW", "RUT", False), ("VIX", "VIX", True), ("VIXW", "VIX", True),
     ("BRK.B", "BRK.B", False), ("GOOGL", "GOOGL", False), ("AMD1", "AMD", False)],
)  # fmt: skip
def test_roots_name_their_underlying_and_its_settlement(root: str, underlying: str, am: bool, read: Read) -> None:
    text = "asof,spot,option,bid,ask,open_interest\n" + "".join(
        f"2024-06-04 15:00:00,100,{root}240621{right}{strike}500,1,2,5\n"
        for right in "CP"
        for strike in ("00102", "00103")
    )
    chain = read(text.encode()).chain
    assert chain.underlying == underlying
    assert set(chain.strike) == {102.5, 103.5}
    assert set(chain.settlement) == {settlement(root, date(2024, 6, 21)).timestamp()}
    assert am == (datetime.fromtimestamp(chain.settlement[0], UTC).hour == 13)


def test_of_several_instants_the_last_with_a_live_contract_is_read(sample: Any, read: Read) -> None:
    from datetime import timedelta

    days = [
        sample.frame.with_columns(asof=pl.col("asof") + timedelta(days=day), spot=pl.col("spot") + day)
        for day in (0, 1, 2, 40)
    ]
    data = sample.parquet(pl.concat(days))
    chain_file = read(data)
    assert chain_file.chain.spot == SPOT + 2
    assert any("4 instants" in note for note in chain_file.notes)
    picked = read(data, datetime(2024, 6, 5, 23, 0, tzinfo=UTC))
    assert picked.chain.spot == SPOT + 1
    assert picked.chain.as_of == datetime(2024, 6, 5, 20, 15, tzinfo=UTC)


def test_quote_times_of_one_snapshot_are_no_instants(sample: Any, reference: OptionChain, read: Read) -> None:
    seconds = pl.int_range(pl.len()).cast(pl.Duration("us")) * 1_000_000
    chain = read(sample.parquet(sample.frame.with_columns(asof=pl.col("asof") - seconds))).chain
    assert_same(chain, reference)


def test_as_of_replaces_the_time_of_a_file_that_has_one(sample: Any, read: Read) -> None:
    asked = datetime(2024, 6, 4, 15, 0, tzinfo=UTC)
    chain_file = read(sample.parquet(), asked)
    assert chain_file.chain.as_of == asked
    assert any("--as-of" in note for note in chain_file.notes)


def test_theta_and_vega_of_any_year_and_point_become_ours(sample: Any, read: Read) -> None:
    years = (pl.col("expiration").cast(pl.Datetime("us", "UTC")) - pl.col("asof")).dt.total_seconds() / (365 * 86_400)
    curvature = pl.col("gamma") * SPOT**2 * 0.13
    frame = sample.frame.with_columns(vega=curvature * years, theta=-0.5 * curvature * 0.13)
    ours = sample.frame.with_columns(vega=curvature * years / 100, theta=-0.5 * curvature * 0.13 / 365)
    yearly, daily = read(sample.parquet(frame)), read(sample.parquet(ours))
    np.testing.assert_allclose(yearly.chain.vega, daily.chain.vega, rtol=1e-12)
    np.testing.assert_allclose(yearly.chain.theta, daily.chain.theta, rtol=1e-12)
    assert len(yearly.notes) == 2
    assert not daily.notes


def test_schwab_names_contracts_as_the_exchange_does(sample: Any, reference: OptionChain, read: Read) -> None:
    document = json.loads(sample.td_json())
    for side in ("callExpDateMap", "putExpDateMap"):
        for strikes in document[side].values():
            for option in itertools.chain(*strikes.values()):
                root, rest = option["symbol"].split("_")
                day, right = rest[:6], rest[6]
                option["symbol"] = f"{root:<6}{day[4:]}{day[:4]}{right}{round(option['strikePrice'] * 1000):08d}"
    assert_same(read(json.dumps(document).encode()).chain, reference)


def test_quote_tables_of_other_years_and_spreadsheets_are_read(sample: Any, reference: OptionChain, read: Read) -> None:
    lines = sample.quote_table().decode().splitlines()
    names = lines[3].replace("Volume", "Vol").replace("Open Interest", "Open Int")
    old = ["^SPX (S&P 500 INDEX),5290.25,-3.1,", "Jun 04 2024 @ 18:33 ET,Bid,-1,Ask,-1,Size,-1x-1,Vol,0,", names]
    chain = read("\n".join([*old, *lines[4:], ""]).encode()).chain
    assert_same(chain, reference)
    assert (chain.spot, chain.as_of) == (SPOT, reference.as_of)
    spreadsheet = sample.quote_table("Date: 4 June 2024 18:33 EDT", first_line=",,,,", separator=";")
    chain = read(spreadsheet).chain
    assert_same(chain, reference)
    assert (chain.spot, chain.as_of) == (SPOT, reference.as_of)


def test_percent_signs_dollars_and_grouped_thousands_are_numbers(read: Read) -> None:
    text = "asof,spot,option,bid,ask,open_interest,iv\n" + "".join(
        f'2024-06-04 15:00:00,"$5,290.25",SPX240621{right}05300000,$1.50,"1,234.5","12,345",13.5%\n' for right in "CP"
    )
    chain = read(text.encode()).chain
    assert (chain.spot, *chain.bid, *chain.ask) == (5290.25, 1.5, 1.5, 1234.5, 1234.5)
    assert chain.open_interest.tolist() == [12345, 12345]
    np.testing.assert_allclose(chain.iv, 0.135)


def test_a_volatility_floor_is_no_volatility(sample: Any, reference: OptionChain, read: Read) -> None:
    floored = sample.frame.with_columns(iv=pl.when(pl.col("iv") > 0).then("iv").otherwise(0.02))
    chain_file = read(sample.parquet(floored))
    np.testing.assert_array_equal(chain_file.chain.iv, reference.iv)
    assert any("floor of 0.02" in note for note in chain_file.notes)

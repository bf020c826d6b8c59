"""Evidence from outside: published tables, forty-digit references, the examples of docs/conventions.md."""

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

import zerogex
from zerogex.domain.iv import IvStatus
from zerogex.pricing.black_scholes import otm_share, price
from zerogex.pricing.greeks import greeks_of_spot
from zerogex.pricing.implied_vol import IvLimits, implied_volatility
from zerogex.pricing.units import per_day

REFERENCE = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data" / "reference"
WIDE = IvLimits(minimum=0.0, maximum=1e9)
outside = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables of ../shared are not here")

# kind S K years r q iv | price delta gamma vega theta vanna charm vomma; vega per 1.00, theta and charm per year
CONVENTIONS = """
C 49      50   0.38461538461538464   .05  0    .2  | 2.40052732327 .521604661066 .0655440393478 12.1054798826 -4.30532982293 .139132968234 -.196757468143 -.229081117859
P 49      50   0.38461538461538464   .05  0    .2  | 2.44817544128 -.478395338934 .0655440393478 12.1054798826 -1.85294741703 .139132968234 -.196757468143 -.229081117859
C 4697.24 4700 0.038356164383561646  .053 .015 .12 | 46.0666397827 .519151884854 .00360746415171 366.356534657 -663.310839575 -.0838731903104 -.504925834968 3.76339640617
C 6000    6010 0.00022831050228310502 .043 .012 .11 | .835270729382 .159423800233 .0243405602629 22.0065339364 -5330.99093547 2.20337341866 -535.318087678 199.123312461
"""  # noqa: E501
COLUMNS = ("price", "delta", "gamma", "vega", "theta", "vanna", "charm", "vomma")


@pytest.mark.parametrize("line", CONVENTIONS.strip().splitlines())
def test_the_single_options_of_the_conventions_have_all_their_digits(line: str) -> None:
    inputs, expected = line.split("|")
    kind, *numbers = inputs.split()
    found = greeks_of_spot(*map(float, numbers), is_call=kind == "C")
    for name, text in zip(COLUMNS, expected.split(), strict=True):
        assert float(f"{float(getattr(found, name)):.12g}") == pytest.approx(float(text), rel=2e-12), name


def table(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open() as file:
        return list(csv.DictReader(file))


@outside
def test_forty_digit_greeks_are_met_to_the_last_digits() -> None:
    rows = table("bsm_greeks_highprec.csv")
    spot, strike, years, rate, dividend, iv = (
        np.array([float(row[name]) for row in rows]) for name in ("S", "K", "T", "r", "q", "sigma")
    )
    found = greeks_of_spot(spot, strike, years, rate, dividend, iv, [row["type"] == "call" for row in rows])
    for name in (*COLUMNS, "rho"):
        expected = np.array([float(row[name]) for row in rows])
        # an intrinsic value is the difference of two prices, each rounded
        rounding = 4e-16 * np.maximum(spot, strike) if name == "price" else 1e-280
        assert (np.abs(getattr(found, name) - expected) <= 2e-14 * np.abs(expected) + rounding).all(), name


@outside
def test_every_round_trip_of_the_reference_is_as_exact_as_its_price_allows() -> None:
    rows = table("black76_iv_roundtrip.csv")
    value, forward, strike, years, discount, sigma, ulp = (
        np.array([float(row[k]) for row in rows])
        for k in ("price", "F", "K", "T", "D", "sigma", "sigma_error_per_price_ulp")
    )
    found = implied_volatility(
        value, forward, strike, years, -np.log(discount) / years, [row["type"] == "call" for row in rows], WIDE
    )
    informative = ulp < 1e-3
    assert (found.status[informative] == IvStatus.CONVERGED).all()
    solved = found.status == IvStatus.CONVERGED
    error = np.abs(found.iv - sigma)[solved]
    assert (error <= (8 * ulp + 8 * 2.2e-16 * sigma)[solved]).all()


@outside
def test_the_values_of_lets_be_rational_are_ours() -> None:
    with gzip.open(REFERENCE / "lets_be_rational_values.json.gz") as file:
        data = json.load(file)
    for given, expected in zip(data["input"], data["output"], strict=True):
        is_call = given["q"] > 0
        assert price(given["F"], given["K"], given["T"], 0.0, given["sigma"], is_call) == pytest.approx(
            expected["black"], rel=1e-12
        )
        x, s = given["x"], given["s"]
        share = otm_share(abs(x), s) * math.exp(-0.5 * abs(x)) + max(2 * math.sinh(0.5 * x), 0.0)
        assert share == pytest.approx(expected["normalised_black_call"], rel=1e-12)
        found = implied_volatility(expected["black"], given["F"], given["K"], given["T"], 0.0, is_call, WIDE)
        theirs = expected["implied_volatility_from_a_transformed_rational_guess"]
        if theirs > 0.0:
            assert found.iv == pytest.approx(theirs, rel=1e-9)
        else:  # they call "no time value" a volatility of zero
            assert found.status in (IvStatus.NO_QUOTE, IvStatus.BELOW_INTRINSIC, IvStatus.EXPIRED)


@outside
def test_the_table_of_py_vollib_is_ours_to_its_printed_digits() -> None:
    data = json.loads((REFERENCE / "py_vollib_test_data.json").read_text())
    rows = [dict(zip(data["columns"], row, strict=True)) for row in data["data"]]
    for row in rows:
        for side, is_call in (("C", True), ("P", False)):
            found = greeks_of_spot(row["S"], row["K"], row["t"], row["R"], 0.0, row["v"], is_call)
            assert found.price == pytest.approx(row["bs_call" if is_call else "bs_put"], rel=1e-6, abs=1e-8)
            for name, ours in (("D", found.delta), ("G", found.gamma), ("V", found.vega), ("R", found.rho)):
                assert ours == pytest.approx(row[side + name], rel=1e-6, abs=1e-7), (row["S"], side, name)
            assert found.theta == pytest.approx(row[side + "T"], rel=1e-6, abs=1e-7)


@outside
def test_the_european_rows_of_haug_are_met() -> None:
    met = 0
    for row in table("haug_ju_tables.csv"):
        if row["style"] != "european":
            continue
        spot, strike, dividend, rate, years, iv = (float(row[k]) for k in ("spot", "strike", "q", "r", "t", "vol"))
        found = greeks_of_spot(spot, strike, years, rate, dividend, iv, row["type"] == "Call")
        ours = {
            "price": found.price, "delta": found.delta, "gamma": found.gamma, "vega": found.vega, "theta": found.theta,
            "theta per day": per_day(found.theta), "rho": found.rho, "elasticity": found.delta * spot / found.price,
        }.get(row["quantity"])  # fmt: skip
        if ours is not None:
            assert ours == pytest.approx(float(row["expected"]), abs=float(row["tolerance"])), row
            met += 1
    assert met >= 50

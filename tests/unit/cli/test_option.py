"""One option in, the field's numbers out."""

import json

import pytest
import typer
from typer.testing import CliRunner

from zerogex.cli import option

app = typer.Typer(rich_markup_mode=None)
app.command("greeks")(option.greeks)
app.command("iv")(option.iv)
runner = CliRunner()
GOLDEN = [
    "--spot",
    "49",
    "--strike",
    "50",
    "--days",
    str(20 / 52 * 365),
    "--rate",
    "0.05",
    "--dividend",
    "0",
    "-o",
    "json",
]


def values(*arguments: str) -> dict[str, object]:
    result = runner.invoke(app, list(arguments))
    return {row["quantity"]: row["value"] for row in json.loads(result.stdout)}


def test_greeks_of_the_textbook_option_in_market_units() -> None:
    got = values("greeks", *GOLDEN, "--vol", "0.2")
    assert got["price"] == pytest.approx(2.40052732327, abs=1e-6)
    assert got["delta"] == pytest.approx(0.521604661066, abs=1e-7)
    assert got["gamma"] == pytest.approx(0.0655440393478, abs=1e-8)
    assert got["vega"] == pytest.approx(0.121054798826, abs=1e-7)
    assert got["theta"] == pytest.approx(-4.30532982293 / 365, abs=1e-7)
    assert got["charm"] == pytest.approx(-0.196757468143 / 365, abs=1e-8)


def test_iv_finds_the_volatility_behind_a_price() -> None:
    got = values("iv", *GOLDEN, "--price", "2.40052732327")
    assert got["implied volatility"] == pytest.approx(0.2, abs=1e-6)
    assert got["status"] == "converged"
    assert got["delta"] == pytest.approx(0.521604661066, abs=1e-5)


@pytest.mark.parametrize(("price", "status"), [("0", "no_quote"), ("60", "above_maximum"), ("49", "above_maximum")])
def test_a_price_without_a_volatility_says_why_and_exits_1(price: str, status: str) -> None:
    result = runner.invoke(app, ["iv", *GOLDEN, "--price", price])
    rows = {row["quantity"]: row["value"] for row in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert rows["implied volatility"] is None
    assert rows["status"] == status


def test_the_limits_of_the_settings_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IV_MAX", "0.15")
    result = runner.invoke(app, ["iv", *GOLDEN, "--price", "2.4"])
    assert "above_iv_max" in result.stdout


@pytest.mark.parametrize("wrong", [("greeks", "--spot", "0"), ("iv", "--strike", "-5"), ("greeks", "--spot", "nan")])
def test_what_is_no_price_is_a_usage_error(wrong: tuple[str, ...]) -> None:
    result = runner.invoke(app, list(wrong))
    assert result.exit_code == 2
    assert "is not a price above zero" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("greeks -d 0", "0 days: an option at expiry has a payoff, but no Greeks"),
        ("iv -d 0", "0 days: an option at expiry"),
        ("greeks -d -1", "-1 is not a number of days above zero"),
        ("greeks -d 1e9", "1e+09 is not a number of days"),
        ("greeks -d nan", "nan is not a number of days"),
        ("greeks -d 1e-300", "1e-300 is not a number of days"),
        ("greeks -v inf", "inf is not a volatility"),
        ("greeks -v -1", "-1 is not a volatility"),
        ("iv -p nan", "nan is not a price of an option"),
        ("greeks -s 1e308 -k 1e-300", "1e+308 is not a price above zero"),
        ("greeks --rate nan", "'nan' is no rate"),
        ("greeks --rate 5", "for 5 percent write 5%"),
        ("greeks --rate 500%", "'500%' is 500 % a year; expected less than 100 %, such as 5.35%"),
        ("iv --dividend inf", "'inf' is no rate"),
        ("greeks -s 455 -v 0 --rate 0", "have no finite Greeks"),
    ],
)
def test_what_has_no_greeks_is_a_usage_error_in_one_sentence(words: str, said: str) -> None:
    result = runner.invoke(app, words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_the_far_ends_of_what_is_accepted_have_finite_numbers() -> None:
    for spot, strike in (("1e9", "1e-6"), ("1e-6", "1e9"), ("450", "455")):
        for days in ("1e-6", "36500"):
            for vol in ("1e-9", "100"):
                result = runner.invoke(app, ["greeks", "-s", spot, "-k", strike, "-d", days, "-v", vol, "-o", "json"])
                assert result.exit_code == 0, (spot, strike, days, vol, result.output)
                assert None not in {row["value"] for row in json.loads(result.stdout)}, (spot, strike, days, vol)


def test_the_heading_names_what_was_computed_from_and_a_rate_may_be_a_percentage() -> None:
    heading = runner.invoke(app, ["greeks", "--rate", "5.35%"]).stdout
    assert "Call: spot 450, strike 455, days 30, rate 5.35 %, dividend 0 %, volatility 20 %" in " ".join(
        heading.split()
    )
    assert "price 10" in runner.invoke(app, ["iv"]).stdout

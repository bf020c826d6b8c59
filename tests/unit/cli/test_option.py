"""One option in, the field's numbers out."""

import json

import pytest
import typer
from typer.testing import CliRunner

from zerogex.cli import option

app = typer.Typer()
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

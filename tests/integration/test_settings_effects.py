"""Each setting of numbers, analysis and wiring at work; and that no setting is without such a test."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from zerogex import app
from zerogex.analytics.analysis import analyze
from zerogex.cli import main, up
from zerogex.domain.chain import build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.pipeline.enrich import enrich
from zerogex.pricing.black_scholes import price
from zerogex.pricing.implied_vol import implied_volatility
from zerogex.settings import Settings

AS_OF = datetime(2026, 2, 20, 15, 0, tzinfo=UTC)
SPOT, STRIKES = 600.0, range(560, 641, 5)


def chain(*, vol=0.18, rate=0.05, quotes=True, vendor_iv=np.nan, last=np.nan):
    """A month of SPY options around 600, priced by one volatility, with vendor numbers where asked for."""
    contracts = [
        OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(k), kind) for k in STRIKES for kind in OptionKind
    ]
    bare = build_chain("SPY", SPOT, AS_OF, contracts)
    forward = SPOT * np.exp(rate * bare.years)
    worth = price(forward, bare.strike, bare.years, rate, vol, bare.is_call)
    columns = {"bid": worth - 0.001, "ask": worth + 0.001} if quotes else {}
    size = len(contracts)
    known = {"iv": np.full(size, vendor_iv), "iv_source": np.full(size, 0 if np.isnan(vendor_iv) else IvSource.API)}
    return build_chain(
        "SPY", SPOT, AS_OF, contracts, last=np.full(size, last), open_interest=np.full(size, 100), **columns, **known
    )


def valued(loaded, of):
    return enrich(of, app.enrich_config(loaded.settings)).chain


def sources(found):
    return {IvSource(code).name.lower() for code in found.iv_source.tolist()}


def test_iv_calculation_and_greeks_can_be_switched_off(given):
    on, off = valued(given(), chain()), valued(given(IV_CALCULATION_ENABLED="false"), chain())
    assert sources(on) == {"mid"}
    assert sources(off) == {"default"}
    assert np.isfinite(on.gamma).all()
    assert not np.isfinite(valued(given(GREEKS_ENABLED="false"), chain()).gamma).any()


def test_iv_priority_orders_the_sources_and_leaves_out_those_not_named(given):
    both = chain(vendor_iv=0.33)
    assert sources(valued(given(IV_PRIORITY="api,mid"), both)) == {"api"}
    assert sources(valued(given(IV_PRIORITY="mid,api"), both)) == {"mid"}
    assert sources(valued(given(IV_PRIORITY="last"), both)) == {"none"}


def test_the_default_volatility_stands_in_and_is_flagged(given):
    found = valued(given(IMPLIED_VOLATILITY_DEFAULT=0.31), chain(quotes=False))
    assert set(found.iv.tolist()) == {0.31}
    assert sources(found) == {"default"}


def test_iv_min_and_iv_max_reject_what_lies_beyond(given):
    only = {"IV_PRIORITY": "mid"}
    for bounds, status in (({"IV_MIN": 0.2}, IvStatus.BELOW_IV_MIN), ({"IV_MAX": 0.15}, IvStatus.ABOVE_IV_MAX)):
        found = valued(given(**only, **bounds), chain(vol=0.18))
        assert set(found.iv_status.tolist()) == {status}
        assert np.isnan(found.iv).all()


def test_the_solver_gives_up_after_iv_max_iterations_unless_iv_tolerance_is_met(given):
    strikes = np.array([60.0, 80.0, 100.0, 120.0, 200.0])
    prices = price(100.0, strikes, 0.1, 0.0, 0.3, True)

    def failed(**values):
        limits = app.enrich_config(given(**values).settings).limits
        found = implied_volatility(prices, 100.0, strikes, 0.1, 0.0, True, limits)
        return (found.status == IvStatus.NO_CONVERGENCE).any()

    assert failed(IV_MAX_ITERATIONS=1)
    assert not failed(IV_MAX_ITERATIONS=2)
    assert failed(IV_MAX_ITERATIONS=2, IV_TOLERANCE=1e-12)
    assert not failed(IV_TOLERANCE=1e-12)


def test_rate_and_dividend_carry_the_forward_where_quotes_give_none(given):
    years = chain().years[0]
    for rate, dividend in ((0.03, 0.0), (0.05, 0.02)):
        found = valued(given(RISK_FREE_RATE=rate, DIVIDEND_YIELD=dividend), chain(quotes=False))
        np.testing.assert_allclose(found.forward, SPOT * np.exp((rate - dividend) * years), rtol=1e-12)
        assert set(found.rate.tolist()) == {rate}


def test_the_dealer_model_turns_the_sign(given):
    found = valued(given(), chain())

    def net(**values):
        return analyze(found, app.analyze_config(given(**values)).analysis).totals.net_gex

    calls_less_puts, inverse = net(), net(DEALER_MODEL="inverse")
    assert inverse == pytest.approx(-calls_less_puts)
    assert net(DEALER_MODEL="long_all") > abs(calls_less_puts)


def test_what_is_analysed_and_how_often(given):
    config = app.analyze_config(given(ANALYTICS_UNDERLYING="SPX, ndx", ANALYTICS_INTERVAL=15))
    assert (config.underlyings, config.interval_s) == (("SPX", "NDX"), 15.0)
    assert app.analyze_config(given()).underlyings is None  # whatever the store has
    assert app.analyze_config(given(AGGREGATION_BUCKET_SECONDS=30)).bucket_seconds == 30


@pytest.mark.parametrize("name", ["ANALYTICS_ENABLED", "GEX_ENABLED"])
def test_analytics_can_be_switched_off(given, name, monkeypatch, capsys):
    simulation = up.Simulation(None, 1.0, 7, (), ())
    started = [service.name for service in up._services(given(), simulation, None, 8642)]
    assert started == ["ingest", "analyze", "serve"]
    started = [service.name for service in up._services(given(**{name: "false"}), simulation, None, 8642)]
    assert started == ["ingest", "serve"]
    monkeypatch.setenv(name, "false")
    result = CliRunner().invoke(main.app, ["analyze"])
    assert (result.exit_code, result.output) == (
        0, "zerogex: analytics is off (GEX_ENABLED or ANALYTICS_ENABLED is false)\n"
    )  # fmt: skip


def test_where_the_page_listens(given):
    config = app.serving_config(given(SERVE_HOST="127.0.0.2", SERVE_PORT=9001).settings)
    assert (config.host, config.port) == ("127.0.0.2", 9001)
    behind = given(SERVE_HOST="0.0.0.0", SERVE_BEHIND_PROXY="true")
    assert app.serving_config(behind.settings).hosts == frozenset()


def test_tls_further_host_names_and_chains_for_keys_reach_the_server(given, tmp_path):
    paths = {name: tmp_path / name for name in ("cert.pem", "key.pem")}
    for path in paths.values():
        path.write_text("pem")
    loaded = given(
        SERVE_TLS_CERT=paths["cert.pem"],
        SERVE_TLS_KEY=paths["key.pem"],
        SERVE_ALLOWED_HOSTS="desk.lan, desk",
        SERVE_CHAIN_TO_KEYS="true",
    )
    config = app.serving_config(loaded.settings)
    assert (config.tls_cert, config.tls_key) == (paths["cert.pem"], paths["key.pem"])
    assert config.allowed_hosts == ("desk.lan", "desk")
    assert config.chain_to_keys


def test_the_pause_between_bar_requests_reaches_back_fill(given):
    settings = given(DELAY_BETWEEN_BARS=0.25).settings
    config = app.backfill_config(settings, lookback_days=1, sample_every=1, options=False)
    assert config.delay_between_bars_s == 0.25


def test_every_setting_is_shown_at_work_by_some_test():
    tests = Path(__file__).parents[1]
    text = "\n".join(path.read_text() for path in tests.rglob("test_*.py"))
    unshown = [name.upper() for name in Settings.model_fields if not re.search(rf"\b{name}=|\b{name.upper()}\b", text)]
    assert not unshown

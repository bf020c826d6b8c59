"""The document is JSON as it stands, and every page reads the same keys."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.document import document, heatmap
from zerogex.domain.chain import OptionChain
from zerogex.domain.exposure import TOTALS

FAR = date(2026, 2, 20)
KEYS = [
    "underlying", "spot", "data_timestamp", "dealer_model", "greeks", "rate", "simulated", "delayed", "notes",
    "call_gex", "put_gex", "net_gex", "gross_gex", "gex_shares_per_dollar", "dex", "vanna_exposure",
    "charm_exposure", "vega_exposure", "volume_gex", "gamma_flip", "gamma_flip_status", "gamma_flip_reason",
    "flip_crossings", "call_wall", "put_wall", "max_gamma_strike", "levels", "max_pain",
    "max_pain_by_expiration", "put_call_ratio_oi", "put_call_ratio_volume", "expected_move", "coverage",
    "by_strike", "by_expiration", "profile", "forwards",
]  # fmt: skip


@pytest.fixture
def chain(make_chain) -> OptionChain:
    rows = [("C", 95, 900), ("P", 95, 2500), ("C", 105, 3000), ("P", 105, 400), ("P", 90, 70, {"expiration": FAR})]
    return make_chain(rows)


@pytest.fixture
def page(chain: OptionChain) -> dict[str, Any]:
    return document(analyze(chain, AnalysisConfig(rate=0.04)))


def test_every_promised_key_is_there(page: dict[str, Any]) -> None:
    assert set(KEYS) <= set(page)
    assert set(page) - set(KEYS) == {"call_open_interest", "put_open_interest", "call_volume", "put_volume"}


def test_it_is_json_without_help(page: dict[str, Any]) -> None:
    assert json.loads(json.dumps(page, allow_nan=False)) == page


def test_times_are_utc_with_a_z_and_days_iso(page: dict[str, Any]) -> None:
    assert page["data_timestamp"] == "2026-01-05T15:00:00Z"
    assert page["by_expiration"][0]["expiration"] == "2026-01-09"
    assert page["max_pain_by_expiration"][1]["expiration"] == FAR.isoformat()
    assert page["expected_move"]["expiration"] == "2026-01-09"


def test_the_headline_levels_are_the_strikes_of_the_levels(page: dict[str, Any]) -> None:
    assert page["call_wall"] == page["levels"]["call_wall"]["strike"] == 105.0
    assert page["put_wall"] == page["levels"]["put_wall"]["strike"] == 95.0
    assert page["max_gamma_strike"] == page["levels"]["max_gamma"]["strike"]
    assert set(page["levels"]["put_wall_oi"]) == {"strike", "gex", "share", "margin"}
    assert page["max_pain"] == page["max_pain_by_expiration"][0]["max_pain"]
    assert page["gamma_flip"] == page["flip_crossings"][0]["price"]


def test_rows_carry_every_total(page: dict[str, Any]) -> None:
    assert set(page["by_strike"][0]) == {"strike", *TOTALS}
    assert [row["strike"] for row in page["by_strike"]] == [90.0, 95.0, 105.0]
    assert set(page["by_expiration"][0]) == {"expiration", *TOTALS}


def test_the_profile_is_two_columns_around_spot(page: dict[str, Any]) -> None:
    spots, net = page["profile"]["spots"], page["profile"]["net_gex"]
    assert len(spots) == len(net) == 201
    assert spots[100] == 100.0
    assert spots[0] == pytest.approx(85.0)
    assert net[100] == pytest.approx(page["net_gex"], rel=1e-12)


def test_forwards_say_where_they_came_from(page: dict[str, Any]) -> None:
    assert set(page["forwards"][0]) == {"root", "expiration", "years", "forward", "rate", "source", "pairs"}


def test_what_does_not_exist_is_null(chain: OptionChain) -> None:
    page = document(analyze(replace(chain.select(np.zeros(len(chain), bool)), spot=float("nan"))))
    json.dumps(page, allow_nan=False)
    for key in ("spot", "gamma_flip", "call_wall", "put_wall", "max_gamma_strike", "max_pain", "expected_move",
                "put_call_ratio_oi", "put_call_ratio_volume"):  # fmt: skip
        assert page[key] is None, key
    assert page["gamma_flip_status"] == "low_coverage"
    assert page["gamma_flip_reason"]
    assert page["coverage"]["stale_s"] is None
    assert page["by_strike"] == []


def test_the_heat_map_places_every_cell(chain: OptionChain) -> None:
    answer = analyze(chain)
    heat = heatmap(answer)
    assert heat["strikes"] == [90.0, 95.0, 105.0]
    assert heat["expirations"] == ["2026-01-09", FAR.isoformat()]
    assert heat["net_gex"][0][0] is None
    assert heat["net_gex"][1][1:] == [None, None]
    total = sum(value for row in heat["net_gex"] for value in row if value is not None)
    assert total == pytest.approx(answer.totals.net_gex, rel=1e-12)
    json.dumps(heat, allow_nan=False)

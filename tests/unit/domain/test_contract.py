"""Symbols are read and written without loss."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerogex.domain.contract import OptionContract, OptionKind, is_adjusted, parse_symbol, plain, underlying_of

contracts = st.builds(
    OptionContract,
    underlying=st.just("SPY"),
    root=st.just("SPY"),
    expiration=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    strike=st.integers(1, 99_999_999).map(lambda mills: Decimal(plain(Decimal(mills).scaleb(-3)))),
    kind=st.sampled_from(OptionKind),
)


@given(contracts)
def test_a_symbol_reads_back_as_the_same_contract(contract: OptionContract) -> None:
    assert parse_symbol(contract.symbol) == contract


@given(contracts)
def test_the_osi_form_names_the_same_contract(contract: OptionContract) -> None:
    mills = int(contract.strike.scaleb(3))
    osi = f"{contract.root:<6}{contract.expiration:%y%m%d}{contract.kind}{mills:08d}"
    assert parse_symbol(osi) == contract
    assert parse_symbol(osi.replace(" ", "")) == contract


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("spy 260221c450.50", "SPY 260221C450.5"),
        ("SPXW 260320C6630", "SPXW 260320C6630"),
        ("SPXW260320P06630000", "SPXW 260320P6630"),
        ("BRK.B 261218C500", "BRK.B 261218C500"),
        ("TSLA 260511C382.5", "TSLA 260511C382.5"),
        ("GOOGL 260511C00382500", "GOOGL 260511C382.5"),
    ],
)
def test_spelling_variants_become_the_one_key(text: str, symbol: str) -> None:
    assert parse_symbol(text).symbol == symbol


WRONG = ["", "SPY", "SPY 261399C5", "SPY 260221X450", "SPY 260221C", "x" * 200, "SPY\0 260221C1"]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused_with_the_text_named(text: str) -> None:
    with pytest.raises(ValueError, match="is not an option symbol") as caught:
        parse_symbol(text)
    assert repr(text[:60]) in str(caught.value)


def test_roots_know_their_underlying() -> None:
    roots = {"SPXW": "SPX", "SPX": "SPX", "NDXP": "NDX", "AMD1": "AMD", "SPY": "SPY"}
    assert {root: underlying_of(root) for root in roots} == roots
    assert is_adjusted("AMD1")
    assert not is_adjusted("AMD")


def test_the_sign_removes_the_branch() -> None:
    assert (OptionKind.CALL.sign, OptionKind.PUT.sign) == (1, -1)

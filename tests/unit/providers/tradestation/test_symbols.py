from zerogex.providers.tradestation.symbols import (
    in_path,
    is_index,
    listing_symbol,
    our_symbol,
    root_families,
    vendor_symbol,
)


def test_an_index_is_spelled_with_dollar_and_x_and_a_share_as_it_is() -> None:
    assert vendor_symbol("SPX") == "$SPX.X"
    assert vendor_symbol("spy") == "SPY"
    assert vendor_symbol("BRK.B") == "BRK.B"
    assert vendor_symbol("$SPX.X") == "$SPX.X"


def test_echoes_are_read_whatever_their_case() -> None:
    assert our_symbol("$spx.x") == "SPX"
    assert our_symbol("spy") == "SPY"
    assert our_symbol("$WEIRD.X") == "$WEIRD.X"


def test_the_names_of_indices_make_the_round_trip() -> None:
    assert [our_symbol(vendor_symbol(name)) for name in ("SPX", "NDX", "RUT", "VIX")] == ["SPX", "NDX", "RUT", "VIX"]
    assert is_index("SPX")
    assert not is_index("SPY")


def test_weeklies_of_the_big_indices_are_listed_under_a_symbol_of_their_own() -> None:
    assert listing_symbol("SPX", "SPXW") == "$SPXW.X"
    assert listing_symbol("SPX", "SPX") == "$SPX.X"
    assert listing_symbol("NDX", "NDXP") == "$NDXP.X"
    assert listing_symbol("RUT", "RUTW") == "$RUT.X"
    assert listing_symbol("SPY", "SPY") == "SPY"
    assert [family.vendor for family in root_families("SPX")] == ["$SPX.X", "$SPXW.X"]


def test_a_path_keeps_its_commas_and_encodes_the_rest() -> None:
    assert in_path("$SPX.X", "SPXW 260320C6630", "a/b?#") == "%24SPX.X,SPXW%20260320C6630,a%2Fb%3F%23"

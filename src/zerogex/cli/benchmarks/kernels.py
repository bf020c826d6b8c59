"""The kernels, and the libraries others use for the same: all in one process, one thread, on the same options."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from zerogex.cli.benchmarks.market import DIVIDEND, options, worst_iv_error
from zerogex.cli.benchmarks.measure import Row, row, seconds
from zerogex.pricing.fused import implied_greeks
from zerogex.pricing.greeks import greeks
from zerogex.pricing.implied_vol import implied_volatility

COUNT = 8000
FUSED = "kernel.iv_and_greeks"

Columns = dict[str, np.ndarray[Any, Any]]


def measure(repetitions: int) -> list[Row]:
    """The fused pass, the exact search with the plain Greeks, and every peer that is installed."""
    o = options(COUNT)
    inputs: list[Any] = [o[name] for name in ("price", "spot", "forward", "strike", "years", "rate", "is_call")]
    plain: list[Any] = [o[name] for name in ("price", "forward", "strike", "years", "rate", "is_call")]
    found = implied_greeks(*inputs)
    error = worst_iv_error(found.iv, o["iv"])

    def separate() -> None:
        iv = implied_volatility(*plain).iv
        greeks(o["spot"], o["forward"], o["strike"], o["years"], o["rate"], iv, o["is_call"])

    fused_s = seconds(lambda: implied_greeks(*inputs), 20 * repetitions, time.process_time)
    rows = [
        row(FUSED, "ns", fused_s, each=COUNT, target=100.0, judged="best", note=f"IV error {error:.0e}; per contract"),
        row("kernel.exact_search_and_greeks", "ns", seconds(separate, 4 * repetitions, time.process_time), each=COUNT,
            note="per contract"),
    ]  # fmt: skip
    for name, count, work, note in _peers(o):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spent = seconds(work, max(3, repetitions), time.process_time)
        figure = row(f"peer.{name}", "ns", spent, each=count)
        rows.append(_with_ratio(figure, rows[0], note))
    return rows


def _with_ratio(peer: Row, ours: Row, note: str) -> Row:
    return Row(
        peer.name, peer.unit, peer.median, peer.best, peer.p99, peer.repetitions,
        ratio=peer.best / ours.best, note=f"{note}; ratio: times our fused pass",
    )  # fmt: skip


def _peers(o: Columns) -> Iterator[tuple[str, int, Callable[[], object], str]]:
    """(name, options a call, work, what it computes) of each library found."""
    yield from _fast_vollib(o)
    yield from _vollib(o)
    yield from _quantlib(o)


def _module(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception:  # a peer that is absent, or broken here, is left out of the table
        return None


def _fast_vollib(o: Columns) -> Iterator[tuple[str, int, Callable[[], object], str]]:
    library = _module("fast_vollib")
    if library is None:
        return
    flag = np.where(o["is_call"], "c", "p")
    q = np.full(COUNT, DIVIDEND)
    model = "black_scholes_merton"

    def invert(backend: str) -> Any:
        return library.fast_implied_volatility(
            o["price"], o["spot"], o["strike"], o["years"], o["rate"], flag, q=q, model=model, return_as="numpy",
            backend=backend, on_error="ignore",
        )  # fmt: skip

    def both(backend: str) -> Callable[[], object]:
        def work() -> object:
            iv = invert(backend)
            return library.get_all_greeks(
                flag, o["spot"], o["strike"], o["years"], o["rate"], iv, q=q, model=model, return_as="dict",
                backend=backend,
            )  # fmt: skip

        return work

    for backend in ("numba", "numpy", "jackel"):
        try:
            error = worst_iv_error(np.asarray(invert(backend)), o["iv"])
            both(backend)()
        except Exception:  # this back end does not run here
            continue
        yield f"fast_vollib.{backend}", COUNT, both(backend), f"IV error {error:.0e}, IV and 5 Greeks"


def _vollib(o: Columns) -> Iterator[tuple[str, int, Callable[[], object], str]]:
    inversion = _module("vollib.black_scholes_merton.implied_volatility")
    if inversion is None:
        return
    few = 200
    lists = [o[name][:few].tolist() for name in ("price", "spot", "strike", "years", "rate")]
    flags = ["c" if call else "p" for call in o["is_call"][:few].tolist()]

    def work() -> None:
        for price, spot, strike, years, rate, flag in zip(*lists, flags, strict=True):
            inversion.implied_volatility(price, spot, strike, years, rate, DIVIDEND, flag)

    yield "vollib", few, work, "IV alone, option by option"


def _quantlib(o: Columns) -> Iterator[tuple[str, int, Callable[[], object], str]]:
    library = _module("QuantLib")
    if library is None:
        return
    few = 1000
    lists = [o[name][:few].tolist() for name in ("price", "forward", "strike", "years", "rate")]
    kinds = [library.Option.Call if call else library.Option.Put for call in o["is_call"][:few].tolist()]
    discount = np.exp(-o["rate"] * o["years"])[:few].tolist()

    def work() -> None:
        for price, forward, strike, kind, factor in zip(*lists[:3], kinds, discount, strict=True):
            library.blackFormulaImpliedStdDevLiRS(kind, strike, forward, price, factor)

    yield "quantlib.li_rs", few, work, "IV alone, option by option"

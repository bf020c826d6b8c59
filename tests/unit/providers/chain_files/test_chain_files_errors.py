"""What is no chain, or only part of one, gets one clear sentence and never a traceback."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from zerogex.errors import ChainFileError
from zerogex.providers.chain_files import ChainFile, read_chain, read_chain_file

LAYOUTS = ["quote table", "Cboe JSON", "TD JSON", "Cboe fields", "Yahoo", "Parquet", "CSV"]


def sentence(data: bytes) -> str:
    with pytest.raises(ChainFileError) as caught:
        read_chain(data, "chain")
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n\t", "is empty"),
        (b"\0" * 4096, "is empty"),
        (bytes(range(256)) * 40, "is binary data"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "is binary data"),
        (b"PK\x03\x04" + bytes(50), "is a zip archive"),
        (b"%PDF-1.7 whatever", "is a PDF"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "is a web page"),
        (b"Dear diary, today I bought calls.\nThen puts.\n", "is not an option chain"),
        (b"timestamp,open,high,low,close\n2024-01-02,1,2,3,4\n", "is not an option chain"),
        (b"option,bid,ask\n", "has no contracts"),
        (b"option,bid,ask\nhello,1,2\nworld,3,4\n", "has no contracts"),
        (b"strike,bid,ask\n100,1,2\n", "no column for expiration and right"),
        (b"expiration,strike,right,bid\n2024-06-21,100,C,1\n", "does not say what its options are on"),
        (b'{"error": "not found", "code": 404}', "is JSON, but not an option chain"),
        (b"[1, 2, 3]", "is JSON, but not an option chain"),
        (b'{"data": {"options": []}, "timestamp": "2024-06-04 22:00:00"}', "has no contracts"),
        (b'{"callExpDateMap": {}, "putExpDateMap": {}, "symbol": "SPY"}', "has no contracts"),
        (b'{"data": {"options": [1, 2', "is cut off"),
        (b'{"data": {"options": [}}', "is damaged JSON"),
        (b"[" * 100_000, "JSON"),
        (b"PAR1 and then nothing", "is cut off"),
        (b"PAR1" + bytes(100) + b"PAR1", "is damaged Parquet"),
        (b"\x1f\x8b\x08\x00 not really gzip", "gzip"),
    ],
)  # fmt: skip
def test_what_is_no_chain_is_said_in_one_sentence(data: bytes, words: str) -> None:
    assert words in sentence(data)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ChainFileError, match="does not exist"):
        read_chain_file(tmp_path / "nothing.csv")
    with pytest.raises(ChainFileError, match="is a directory"):
        read_chain_file(tmp_path)
    with pytest.raises(ChainFileError, match="cannot be read"):
        read_chain_file("a" * 5000)


def test_a_file_cut_off_in_a_row_is_refused(sample: Any, zipped: Callable[[bytes], bytes]) -> None:
    for layout, data in sample.every_layout().items():
        assert "is cut off" in sentence(data[: len(data) * 2 // 3 + 1].rstrip(b"\n")[:-2]), layout
        assert "is cut off" in sentence(zipped(data)[:-9]), layout


def test_a_quote_page_without_its_table_is_cut_off(sample: Any) -> None:
    lines = sample.quote_table().split(b"\n")
    assert "is cut off" in sentence(b"\n".join(lines[:3]))
    assert "no contracts" in sentence(b"\n".join(lines[:4]) + b"\n")


def test_a_spot_that_cannot_be_is_refused(sample: Any) -> None:
    assert "spot 5.29" in sentence(sample.csv(sample.frame.with_columns(spot=pl.lit(5.29))))
    no_quotes = sample.frame.with_columns(spot=None, bid=None, ask=None)
    assert "does not say the price of SPX" in sentence(sample.parquet(no_quotes))


def test_two_underlyings_in_one_file_are_refused_and_named(sample: Any) -> None:
    half = pl.int_range(pl.len()) % 2 == 0
    other = pl.col("option").str.replace("SPXW?", "NDX")
    frame = sample.frame.select("asof", "spot", "bid", option=pl.when(half).then("option").otherwise(other))
    assert "NDX, SPX" in sentence(sample.csv(frame))
    named = sample.frame.with_columns(underlying=pl.when(half).then(pl.lit("SPX")).otherwise(pl.lit("SPY")))
    assert "SPX, SPY" in sentence(sample.csv(named))


def test_a_few_strange_rows_are_left_out_and_counted(sample: Any, read: Callable[..., ChainFile]) -> None:
    text = sample.csv().decode().replace("SPXW,SPXW240605C05100000,2024-06-05", "SP?W,nonsense,2024-06-05")
    chain_file = read(text.encode())
    assert len(chain_file.chain) == len(sample.rows) - 1
    assert any("1 row does not name a contract" in note for note in chain_file.notes)
    twice = sample.csv() + sample.csv().split(b"\n", 1)[1]
    again = read(twice)
    assert len(again.chain) == len(sample.rows)
    assert any("repeat a contract" in note for note in again.notes)


def test_an_instant_before_the_file_begins_is_refused(sample: Any) -> None:
    from datetime import UTC, datetime, timedelta

    frame = pl.concat([sample.frame, sample.frame.with_columns(pl.col("asof") + timedelta(days=1))])
    with pytest.raises(ChainFileError, match="begins at 2024-06-04"):
        read_chain(sample.parquet(frame), "chain", datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_damage_anywhere_is_a_chain_or_one_sentence(
    layout: str, seed: int, sample: Any, zipped: Callable[[bytes], bytes]
) -> None:
    chance = random.Random(f"{layout} {seed}")
    whole = sample.every_layout()[layout]
    for original in (whole, zipped(whole)):
        for damage in (_cut, _flip, _flip_many, _blank, _repeat):
            data = bytes(damage(bytearray(original), chance))
            try:
                chain = read_chain(data, "chain").chain
            except ChainFileError as error:
                assert "\n" not in str(error)
            else:
                assert len(chain)
                assert chain.spot > 0


def test_json_of_the_right_shape_with_wrong_values_is_a_chain_or_one_sentence(sample: Any) -> None:
    document = json.loads(sample.cboe_json())
    options = document["data"]["options"]
    for wrong in (None, "", [], {}, "NaN", True, 10**400, -1, "1e999"):
        options[0].update(dict.fromkeys(("bid", "ask", "iv", "volume", "open_interest", "gamma"), wrong))
        options[1]["option"] = wrong
        document["timestamp"] = wrong
        chain = read_chain(json.dumps(document).encode(), "chain").chain
        assert len(chain) == len(sample.rows) - 1


def _cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[
        : chance.choice([chance.randrange(len(data)), chance.randrange(400), len(data) - chance.randrange(200)])
    ]


def _flip(data: bytearray, chance: random.Random) -> bytearray:
    data[chance.randrange(chance.choice([300, len(data)]))] ^= 1 << chance.randrange(8)
    return data


def _flip_many(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(20):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return data


def _blank(data: bytearray, chance: random.Random) -> bytearray:
    place = chance.randrange(len(data))
    data[place : place + 64] = bytes(64)
    return data


def _repeat(data: bytearray, chance: random.Random) -> bytearray:
    place = chance.randrange(len(data))
    data[place:place] = data[chance.randrange(len(data)) :][:100]
    return data

"""From a path or a pipe to plain bytes and text: compression undone, encodings understood, garbage refused."""

from __future__ import annotations

import zlib
from pathlib import Path

from zerogex.errors import ChainFileError
from zerogex.providers.chain_files.said import CUT_OFF

GZIP, PARQUET, ARROW = b"\x1f\x8b", b"PAR1", b"\xff\xff\xff\xff"
_ARCHIVES = {b"PK\x03\x04": "a zip archive (or a spreadsheet)", b"\x28\xb5\x2f\xfd": "a zstd archive",
             b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"%PDF": "a PDF"}  # fmt: skip
_LARGEST = 1 << 30  # bytes after decompression; the largest real chain is 30 MB


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; raises ChainFileError where there is nothing to read."""
    try:
        if path.is_dir():
            raise ChainFileError(f"{path} is a directory; give one chain file")
        return path.read_bytes()
    except FileNotFoundError:
        raise ChainFileError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ChainFileError(f"{path} cannot be read: {reason}") from None


def decompress(data: bytes, name: str) -> bytes:
    """Undo gzip, however the file is named (twice, if somebody did it twice)."""
    for _ in range(2):
        if data[:2] != GZIP:
            break
        data = _gunzip(data, name)
    if not data.strip(b"\0 \t\r\n"):
        raise ChainFileError(f"{name} is empty; expected an option chain")
    for magic, kind in _ARCHIVES.items():
        if data.startswith(magic):
            raise ChainFileError(f"{name} is {kind}; expected a chain as CSV, JSON or Parquet, plain or gzip")
    return data


def _gunzip(data: bytes, name: str) -> bytes:
    plain = bytearray()
    while data[:2] == GZIP:  # a gzip file may have several members
        member = zlib.decompressobj(wbits=31)
        try:
            plain += member.decompress(data, _LARGEST - len(plain))
        except zlib.error as error:
            raise ChainFileError(f"{name} is damaged gzip ({error}); copy it again from its source") from None
        if member.unconsumed_tail:
            raise ChainFileError(f"{name} unpacks to more than {_LARGEST >> 20} MB; that is no option chain")
        if not member.eof:
            raise ChainFileError(f"{name} {CUT_OFF}: its gzip stream ends early; copy it again from its source")
        data = member.unused_data
    return bytes(plain)


def decode(data: bytes, name: str) -> str:
    """The text of a file, byte-order mark removed; raises ChainFileError for bytes that are no text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")  # spreadsheets of western Europe
    sample = text[:20_000]
    odd = sum(not character.isprintable() and character not in "\t\r\n\f\u00a0\u202f\u2009" for character in sample)
    if "\0" in sample or odd > 0.02 * len(sample):
        raise ChainFileError(f"{name} is binary data of an unknown kind; expected a chain as CSV, JSON or Parquet")
    return text

"""Compressed bodies that Weir passes on as they are: those that come piece by piece, and codings that only a package of the script knows."""

from __future__ import annotations

import zlib
from importlib import import_module


def decoder(coding):
    """A function that takes pieces and gives text, None for the end; None for a coding that is not known, or none."""
    coding = (coding or "").strip().lower()
    if coding in ("gzip", "x-gzip"):
        return _pieces(zlib.decompressobj(16 + zlib.MAX_WBITS))
    if coding == "deflate":
        return _deflate()
    make = _PACKAGES.get(coding)
    return make() if make is not None else None


def unpacked(coding, body):
    """A whole body in a coding that only a package of the script knows. What cannot be decoded stays as it is."""
    make = _PACKAGES.get(coding.strip().lower())
    inflate = make() if make is not None else None
    if inflate is None:
        if make is not None:
            from .adapters import tell

            tell("the service answers in %s, which this Python has no package for: install brotli or zstandard, or leave it out of Accept-Encoding" % coding)
        return body
    try:
        return inflate(body) + inflate(None)
    except Exception:  # noqa: BLE001 - each package has errors of its own
        return body


def _pieces(machine):
    def inflate(piece):
        return machine.flush() if piece is None else machine.decompress(piece)

    return inflate


def _deflate():
    """The zlib format, or the bare stream that some servers send."""
    machine = zlib.decompressobj()
    begun = False

    def inflate(piece):
        nonlocal machine, begun
        if piece is None:
            return machine.flush()
        if not begun and piece:
            begun = True
            try:
                return machine.decompress(piece)
            except zlib.error:
                machine = zlib.decompressobj(-zlib.MAX_WBITS)
        return machine.decompress(piece)

    return inflate


def _brotli():
    for name in ("brotli", "brotlicffi"):
        try:
            machine = import_module(name).Decompressor()
        except ImportError:
            continue
        feed = getattr(machine, "decompress", None) or machine.process
        return lambda piece: b"" if piece is None else feed(piece)
    return None


def _zstd():
    try:
        machine = import_module("compression.zstd").ZstdDecompressor()
    except ImportError:
        try:
            machine = import_module("zstandard").ZstdDecompressor().decompressobj()
        except ImportError:
            return None
    return lambda piece: b"" if piece is None else machine.decompress(piece)


_PACKAGES = {"br": _brotli, "zstd": _zstd}

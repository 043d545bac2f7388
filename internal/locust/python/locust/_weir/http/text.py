"""What bytes of an answer mean: encodings, links, single headers."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE).search


def field(block, name):
    """The value of the first header of that name, without unpacking the others."""
    low = block.lower()
    at = 0 if low.startswith(name + b":") else low.find(b"\r\n" + name + b":") + 2
    if at == 1:
        return None
    end = block.find(b"\r\n", at)
    return block[at + len(name) + 1 : end if end >= 0 else len(block)].decode("latin-1").strip(" \t")


@lru_cache(maxsize=256)
def encoding_of(content_type):
    """The encoding that a Content-Type tells, or None."""
    if not content_type:
        return None
    m = _CHARSET(content_type)
    if m:
        return m.group(1)
    kind = content_type.lower()
    if "text" in kind.partition(";")[0]:
        return "ISO-8859-1"
    return "utf-8" if "application/json" in kind else None


def guess_encoding(content):
    """The encoding of text that does not say it: what the bytes show, or else the user's own detector."""
    if not content:
        return "utf-8"
    if content.isascii():
        return "ascii"
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    for name in ("charset_normalizer", "chardet"):
        try:
            detect = __import__(name).detect
        except ImportError:
            continue
        return detect(content)["encoding"]
    return {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(content[:2], "windows-1252")


def slices(data, size):
    """Pieces of data of at most size bytes."""
    if size is None or size <= 0:
        size = len(data)
    return (data[at : at + size] for at in range(0, len(data), size or 1))


def decode_chunks(chunks, encoding):
    """Chunks as text, when the encoding is known."""
    if encoding is None:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        text = decoder.decode(chunk)
        if text:
            yield text
    text = decoder.decode(b"", final=True)
    if text:
        yield text


def parse_links(value):
    """The links of a Link header."""
    links = []
    for entry in re.split(", *<", value.strip(" '\"")) if value else ():
        url, _, params = entry.partition(";")
        link = {"url": url.strip("<> '\"")}
        for param in params.split(";"):
            key, equals, text = param.partition("=")
            if not equals:
                break
            link[key.strip(" '\"")] = text.strip(" '\"")
        links.append(link)
    return links

"""`rest` and `rest_`, for users that talk JSON."""

from __future__ import annotations

import re
import time
import traceback
from contextlib import contextmanager
from json import JSONDecodeError

_HOME = re.compile(r"/(?:home|Users)/\w*/")
_FRAME = re.compile(r'  File "(/[^"]*)", line (\d+),(.*)')


class RestMixin:
    """Adds `rest` and `rest_` to a user that has a `client`."""

    @contextmanager
    def rest(self, method, url, headers=None, **kwargs):
        """A request with JSON both ways, as a with block.

        `js` of the answer is the decoded body. A body that is not JSON, a failed
        assertion and any exception in the block make the request a failure.
        """
        headers = dict(headers) if headers else {}
        for name in ("Content-Type", "Accept"):
            if name not in headers and name.lower() not in headers:
                headers[name] = "application/json"
        with self.client.request(method, url, catch_response=True, headers=headers, **kwargs) as response:
            response.js = None
            if response.content is None:
                response.failure(str(response.error))
            elif response.text:
                try:
                    response.js = response.json()
                except JSONDecodeError as e:
                    response.failure(
                        "Could not parse response as JSON. %s, response code %s, error %s" % (response.text[:250], response.status_code, e)
                    )
            try:
                yield response
            except AssertionError as e:
                response.failure(assertion(e, response))
            except Exception as e:
                response.failure("%s: %s at %s. Response was %s" % (type(e).__name__, e, place(traceback.format_exc()), short(response)))

    @contextmanager
    def rest_(self, method, url, name=None, **kwargs):
        """`rest` with the time in the query, past every cache, under a name without it."""
        mark = url + ("&" if "?" in url else "?") + "_="
        with self.rest(method, "%s%d" % (mark, time.time() * 1000), name=mark + "..." if name is None else name, **kwargs) as response:
            yield response


def place(text):
    """The script's lines that a traceback passed, homes shortened."""
    found = [(file, number, rest) for file, number, rest in _FRAME.findall(text) if file != __file__]
    return ", ".join("%s:%s%s" % (_HOME.sub("~/", file), number, rest) for file, number, rest in found)


def short(response):
    text = response.text
    return text[:200] if text else text


def assertion(error, response):
    """The text for a failed assertion: a message that ends in a comma has the answer put behind it."""
    if not error.args:
        return "Assertion failed"
    text = error.args[0]
    if str(text).endswith(","):
        return "%s, response was %s" % (text[:-1], short(response))
    return text

"""Cookie jars that can be used as dictionaries."""

from locust._weir.http.cookies import CookieConflictError, RequestsCookieJar, cookiejar_from_dict, create_cookie, merge_cookies


def dict_from_cookiejar(jar):
    """The names and values of a jar."""
    return {cookie.name: cookie.value for cookie in jar}


def add_dict_to_cookiejar(jar, pairs):
    """Puts the pairs of a dictionary into a jar."""
    return cookiejar_from_dict(pairs, jar)


__all__ = [
    "CookieConflictError", "RequestsCookieJar", "add_dict_to_cookiejar", "cookiejar_from_dict", "create_cookie", "dict_from_cookiejar", "merge_cookies",
]  # fmt: skip

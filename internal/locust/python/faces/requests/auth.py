"""Schemes of authentication."""

from locust._weir.http.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from locust._weir.http.auth import basic as _basic_auth_str

__all__ = ["AuthBase", "HTTPBasicAuth", "HTTPDigestAuth", "HTTPProxyAuth", "_basic_auth_str"]

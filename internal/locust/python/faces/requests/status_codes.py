"""Names of status codes: codes.ok, codes.not_found, codes["TOO_MANY_REQUESTS"]."""

from http import HTTPStatus

from .structures import LookupDict

# What is said beside the names of the standard library.
_MORE = {
    "okay": 200, "all_ok": 200, "all_okay": 200, "all_good": 200, "non_authoritative_info": 203, "reset": 205, "partial": 206, "moved": 301,
    "other": 303, "temporary_moved": 307, "temporary": 307, "resume": 308, "bad": 400, "payment": 402, "not_allowed": 405, "timeout": 408,
    "precondition": 412, "unprocessable": 422, "unprocessable_entity": 422, "dependency": 424, "teapot": 418, "im_a_teapot": 418, "too_many": 429,
    "header_fields_too_large": 431, "fields_too_large": 431, "server_error": 500, "unavailable": 503, "http_version": 505,
    "request_entity_too_large": 413, "content_too_large": 413, "request_uri_too_large": 414, "uri_too_long": 414, "media_type": 415,
    "requested_range": 416, "range_not_satisfiable": 416, "network_auth": 511, "network_authentication": 511,
}  # fmt: skip

codes = LookupDict("status_codes")
for _status in HTTPStatus:
    _MORE.setdefault(_status.name.lower(), int(_status))
for _name, _code in _MORE.items():
    setattr(codes, _name, _code)
    setattr(codes, _name.upper(), _code)

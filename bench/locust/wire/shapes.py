"""The request shapes of the wire probe, each a function of a client.

Every URL begins with the shape's own label, so that the echo server knows what
it has got. Run as a locustfile (classes HttpProbe and FastProbe), under Locust
or under Weir, this sends each shape once, in order, and ends the run.
"""

import io
import os
import time
from collections import OrderedDict

SHAPES = []


def shape(function):
    """Adds a shape under the name of the function."""
    label = function.__name__
    SHAPES.append((label, lambda client: function(client, "/" + label)))
    return function


@shape
def get(c, at):
    c.get(at)


@shape
def get_query_in_url(c, at):
    c.get(at + "?a=1&b=2")


@shape
def get_params_dict(c, at):
    c.get(at, params={"q": "a b&c", "n": 5, "f": 1.5, "t": True})


@shape
def get_params_list_none(c, at):
    c.get(at, params={"l": [1, "zwei", None], "none": None, "e": ""})


@shape
def get_params_pairs(c, at):
    c.get(at, params=[("k", "1"), ("k", "2")])


@shape
def get_params_string(c, at):
    c.get(at, params="raw=a b&x=%41")


@shape
def get_params_appended(c, at):
    c.get(at + "?have=1", params={"more": "ü/ö"})


@shape
def get_space_and_umlaut(c, at):
    c.get(at + "/a b/ü?q=ä ö&z=\"<>|^`{}")


@shape
def get_escapes(c, at):
    c.get(at + "/%7Euser/%2fx/%zz/100%/%C3%a9?p=%41%2b")


@shape
def get_dots(c, at):
    c.get(at + "/a/./b/../c/..")


@shape
def get_fragment(c, at):
    c.get(at + "/x#part")


@shape
def get_brackets(c, at):
    c.get(at + "/?filter[a]=1&ids[]=2")


@shape
def get_semicolon(c, at):
    c.get(at + "/a;v=1/b?x;y")


@shape
def get_empty_query(c, at):
    c.get(at + "?")


@shape
def get_double_slash(c, at):
    c.get(at + "//x//y")


@shape
def get_plus_and_tilde(c, at):
    c.get(at + "/a+b/~c?d=e+f")


@shape
def get_absolute(c, at):
    c.get(c.base_url + at)


@shape
def get_upper_case_host(c, at):
    c.get(c.base_url.replace("http://127", "HTTP://127") + at)


@shape
def head(c, at):
    c.head(at)


@shape
def options(c, at):
    c.options(at)


@shape
def delete(c, at):
    c.delete(at)


@shape
def delete_json(c, at):
    c.delete(at, json={"id": 1})


@shape
def method_lower_case(c, at):
    c.request("get", at)


@shape
def method_own(c, at):
    c.request("PURGE", at)


@shape
def get_with_json(c, at):
    c.get(at, json={"a": 1})


@shape
def post_nothing(c, at):
    c.post(at)


@shape
def post_form(c, at):
    c.post(at, data={"a": "1", "b": "x y", "ü": "ö"})


@shape
def post_form_lists(c, at):
    c.post(at, data={"a": ["1", "2"], "n": None})


@shape
def post_form_pairs(c, at):
    c.post(at, data=[("a", "1"), ("a", "2")])


@shape
def post_form_ordered(c, at):
    c.post(at, data=OrderedDict([("z", 1), ("a", 2)]))


@shape
def post_form_type_given(c, at):
    c.post(at, data={"a": "1"}, headers={"content-type": "application/x-custom"})


@shape
def post_text(c, at):
    c.post(at, data="plain täxt")


@shape
def post_bytes(c, at):
    c.post(at, data=b"\x00\x01\xff")


@shape
def post_text_typed(c, at):
    c.post(at, "grant_type=client_credentials", headers={"Content-Type": "application/x-www-form-urlencoded"})


@shape
def post_json(c, at):
    c.post(at, json={"a": [1, 2.5, None, True], "u": "ü", "e": "\U0001f600"})


@shape
def post_json_list(c, at):
    c.post(at, json=[])


@shape
def post_json_zero(c, at):
    c.post(at, json=0)


@shape
def post_json_empty_data(c, at):
    c.post(at, data={}, json={"a": 1})


@shape
def post_json_and_data(c, at):
    c.post(at, data={"d": 1}, json={"j": 1})


@shape
def post_json_type_given(c, at):
    c.post(at, json={"a": 1}, headers={"Content-Type": "application/vnd.api+json"})


@shape
def put_json(c, at):
    c.put(at, json={"a": 1})


@shape
def patch_json(c, at):
    c.patch(at, json={"a": 1})


@shape
def put_text(c, at):
    c.put(at, "body")


@shape
def post_file_object(c, at):
    c.post(at, data=io.BytesIO(b"from a file"))


@shape
def post_generator(c, at):
    c.post(at, data=(piece for piece in [b"one", b"two"]))


@shape
def files_bytes(c, at):
    c.post(at, files={"f": b"content"})


@shape
def files_tuple(c, at):
    c.post(at, files={"f": ("näme.txt", "content", "text/plain")}, data={"field": "value"})


@shape
def files_tuple_headers(c, at):
    c.post(at, files={"f": ("a\"b.txt", b"content", "text/plain", {"X-Part": "1"})})


@shape
def files_list(c, at):
    c.post(at, files=[("f", ("1.txt", io.BytesIO(b"one"))), ("f", ("2.txt", io.BytesIO(b"two")))], data={"l": ["a", "b"]})


@shape
def files_opened(c, at):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "upload.txt"), "rb") as file:
        file.seek(3)
        c.post(at, files={"upload": file})


@shape
def headers_own(c, at):
    c.get(at, headers={"X-One": "1", "x-two": "zwei", "Accept": "application/json"})


@shape
def headers_lower_case_override(c, at):
    c.get(at, headers={"user-agent": "own/1.0"})


@shape
def headers_none(c, at):
    c.get(at, headers={"Accept": None, "Connection": None})


@shape
def headers_no_accept_encoding(c, at):
    c.get(at, headers={"Accept-Encoding": None})


@shape
def headers_bytes_value(c, at):
    c.get(at, headers={"X-Bytes": b"raw"})


@shape
def headers_host(c, at):
    c.get(at, headers={"Host": "shop.example"})


@shape
def headers_latin(c, at):
    c.get(at, headers={"X-Name": "Jürgen"})


@shape
def headers_content_length(c, at):
    c.post(at, data="12345", headers={"Content-Length": "5", "X-After": "1"})


@shape
def auth_tuple(c, at):
    c.get(at, auth=("user", "pass wörd"))


@shape
def auth_over_header(c, at):
    c.get(at, auth=("u", "p"), headers={"Authorization": "Bearer x"})


@shape
def cookies_dict(c, at):
    c.get(at, cookies={"a": "1", "b": "x y"})


@shape
def cookies_header(c, at):
    c.get(at, headers={"Cookie": "own=1"})


@shape
def cookies_kept(c, at):
    c.get(at + "/cookies/set?sid=abc&theme=dark")
    c.get(at + "/after")
    c.get(at + "/with", cookies={"extra": "1", "sid": "again"})
    c.get(at + "/cookies/expire?theme=1")
    c.get(at + "/at-last")
    c.get(at + "/cookies/expire?sid=1")


@shape
def redirect_302_post(c, at):
    c.post(at + "/redirect/302/1", json={"a": 1}, headers={"X-Kept": "1"})


@shape
def redirect_307_post(c, at):
    c.post(at + "/redirect/307/1", json={"a": 1})


@shape
def redirect_301_put(c, at):
    c.put(at + "/redirect/301/1", data="x")


@shape
def redirect_303_put(c, at):
    c.put(at + "/redirect/303/1", data="x")


@shape
def redirect_not_followed(c, at):
    c.get(at + "/redirect/302/1", allow_redirects=False)


@shape
def redirect_head(c, at):
    c.head(at + "/redirect/302/1")


@shape
def redirect_cookies(c, at):
    c.get(at + "/redirect/302/2")
    c.get(at + "/cookies/expire?hop1=1&hop2=1")


@shape
def session_headers(c, at):
    if type(c).__name__ == "FastHttpSession":  # it has default_headers of its class instead
        return
    c.headers.update({"X-Session": "1", "Authorization": "Bearer t"})
    c.get(at)
    c.get(at, headers={"X-Session": None})
    c.post(at, json={}, headers={"x-session": "2"})
    del c.headers["X-Session"], c.headers["Authorization"]


@shape
def session_auth(c, at):
    if type(c).__name__ == "FastHttpSession":
        return
    c.auth = ("u", "p")
    c.post(at, data="x")
    c.auth = None


@shape
def session_params(c, at):
    if type(c).__name__ == "FastHttpSession":
        return
    c.params = {"key": "k", "both": "session"}
    c.get(at, params={"both": "request"})
    c.params = {}


def send_all(client):
    """Every shape once; one that cannot be sent is told and passed over."""
    for label, function in SHAPES:
        try:
            function(client)
        except Exception as e:
            print("%s: %s: %s" % (label, type(e).__name__, e))


try:
    from locust import FastHttpUser, HttpUser, task
except ImportError:  # used as a plain module by the tests
    pass
else:

    class HttpProbe(HttpUser):
        @task
        def probe(self):
            send_all(self.client)
            self.environment.runner.quit()
            time.sleep(60)  # the run ends in here

    class FastProbe(FastHttpUser):
        @task
        def probe(self):
            send_all(self.client)
            self.environment.runner.quit()
            time.sleep(60)  # the run ends in here

"""Records what Django REST Framework answers to the cases below.

    python -m venv venv && venv/bin/pip install django==5.2.19 djangorestframework==3.18.3
    venv/bin/python record.py          # writes ../django.json and ../pyjson.json

The clock stands still at NOW and moves only by a case's "wait", so that dates
are exact; what is random is replaced by a word in angle brackets.
"""

import io
import json
import logging
import os
import random
import re
import sys
import time
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

# An eighth of a second is exact in binary, so no wait is rounded up by an error.
NOW = datetime(2026, 11, 21, 12, 0, 0, 125000, timezone.utc)
moved = 0


class Clock:
    def __call__(self):
        return NOW.timestamp() + moved


time.time = Clock()

import app  # noqa: E402
import django  # noqa: E402
import rest_framework  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.middleware.csrf import CSRF_ALLOWED_CHARS, _mask_cipher_secret  # noqa: E402
from django.utils import timezone as django_timezone  # noqa: E402
from rest_framework.exceptions import ParseError  # noqa: E402
from rest_framework.parsers import JSONParser  # noqa: E402

django_timezone.now = lambda: NOW + timedelta(seconds=moved)
for f in [f for m in app.apps.get_models() for f in m._meta.fields]:
    if f.name in ("created_at", "sent_at"):
        f.default = django_timezone.now
        f.__dict__.pop("_get_default", None)

cases = []


def case(name, method, path, jar="", **more):
    cases.append({"name": name, "method": method, "path": path, "jar": jar, **more})


LOGIN = {"username": "admin", "password": "password123"}
PATHS = ["/api/auth/login", "/api/auth/logout", "/api/customers", "/api/customers/1", "/api/customers/1/templates",
         "/api/tokens", "/api/sms/send", "/api/sms/history"]

# Without a session.
for p in PATHS:
    for m in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"):
        case(f"{m} {p} anonymous", m, p)
for p in ("/", "/api", "/api/customers/", "/api/customers/x", "/api/customers/1/templates/", "/api/customers/-1",
          "/api/customers/%31", "/api/sms", "/api//customers", "/API/customers", "/api/customers/١", "/api/customers/%D9%A1"):
    case(f"GET {p} unknown path", "GET", p)
    case(f"POST {p} unknown path", "POST", p, json={})
case("HEAD unknown path", "HEAD", "/nowhere")
case("a bad session on an unknown path", "GET", "/nowhere", headers={"Cookie": "sessionid=abcdefghijklmnop"})
case("a short session on an unknown path", "GET", "/nowhere", headers={"Cookie": "sessionid=abc"})
case("an unknown session", "GET", "/api/customers", headers={"Cookie": "sessionid=abcdefghijklmnop"})
case("a short session", "GET", "/api/customers", headers={"Cookie": "sessionid=abc"})
case("an empty session", "GET", "/api/customers", headers={"Cookie": "sessionid="})
case("a malformed csrf cookie", "GET", "/api/customers", headers={"Cookie": "csrftoken=abc"})
case("a malformed csrf cookie on an unknown path", "GET", "/nowhere", headers={"Cookie": "csrftoken=abc"})
case("server error", "GET", "/broken")

# Logging in.
def login(name, jar="", **more):
    case("login: " + name, "POST", "/api/auth/login", jar, **more)


login("no body")
login("empty object", json={})
login("no password", json={"username": "admin"})
login("wrong password", json={"username": "admin", "password": "nope"})
login("unknown user", json={"username": "nobody", "password": "password123"})
login("blank", json={"username": "", "password": ""})
login("nulls", json={"username": None, "password": None})
login("wrong types", json={"username": [], "password": {}})
login("booleans", json={"username": True, "password": False})
login("numbers", json={"username": 1, "password": 2.5})
login("spaces around the user", json={"username": "  admin ", "password": "password123"})
login("spaces around the password", json={"username": "admin", "password": " password123"})
login("a null character", json={"username": "ad\x00min", "password": "x\x00"})
login("a surrogate", body='{"username":"\\ud83d","password":"a"}')
for name, v in (("list", [1]), ("text", "x"), ("number", 1), ("float", 1.5), ("bool", True), ("null", None)):
    login("a " + name, json=v)
login("not JSON", body="username=admin")
login("a form", body="username=admin&password=password123", headers={"Content-Type": "application/x-www-form-urlencoded"})
login("a multipart form", body="x", headers={"Content-Type": "multipart/form-data; boundary=x"})
login("plain text", body="x", headers={"Content-Type": "text/plain"})
login("no content type", body="{}", headers={"Content-Type": None})
login("an odd content type", body="{}", headers={"Content-Type": 'a"b\\c'})
login("charset", json=LOGIN, headers={"Content-Type": "application/json; charset=utf-8"})
login("upper case type", json=LOGIN, headers={"Content-Type": "Application/JSON"})
login("json with a suffix", body="{}", headers={"Content-Type": "application/vnd.api+json"})
for a in ("*/*", "application/json", "application/*", "text/html", "text/html,*/*;q=0.1", "application/xml, text/plain",
          "application/json; indent=4", "application/json;q=0.5", "", "garbage"):
    case("accept " + a, "GET", "/api/customers", headers={"Accept": a})
case("format json", "GET", "/api/customers?format=json")
case("format xml", "GET", "/api/customers?format=xml")
case("format empty", "GET", "/api/customers?format=")
login("right", "admin", json=LOGIN)
login("again with a session, no token", "admin", json=LOGIN)
login("again with a session and the token", "admin", json=LOGIN, csrf="${csrf}")
login("another user with a session", "admin", json={"username": "operator", "password": "password123"}, csrf="${csrf}")
login("another user alone", "operator", json={"username": "operator", "password": "password123"})
login("admin anew", "admin", json=LOGIN, csrf="${csrf}")

# CSRF.
NEW = {"phone_number": "09012345678"}


def forged(name, **more):
    case("csrf: " + name, "POST", "/api/customers", "admin", json=more.pop("json", {}), **more)


S = {"X-Forwarded-Proto": "https"}
forged("no token")
forged("empty token", csrf="")
forged("short token", csrf="abc")
forged("33 characters", csrf="a" * 33)
forged("bad characters", csrf="-" * 32)
forged("bad characters masked", csrf="é" * 64)
forged("incorrect", csrf="a" * 32)
forged("incorrect masked", csrf="a" * 64)
forged("right", csrf="${csrf}")
forged("right, masked", csrf="${masked}")
forged("no cookie", csrf="${csrf}", drop="csrftoken")
forged("malformed cookie", csrf="${csrf}", drop="csrftoken", cookie="csrftoken=abc")
forged("cookie with bad characters", csrf="${csrf}", drop="csrftoken", cookie="csrftoken=" + "-" * 32)
forged("masked cookie", csrf="${csrf}", drop="csrftoken", cookie="csrftoken=${masked}")
forged("cookie of another", csrf="${csrf}", drop="csrftoken", cookie="csrftoken=" + "b" * 32)
forged("token in a form", body="csrfmiddlewaretoken=${csrf}", headers={"Content-Type": "application/x-www-form-urlencoded"})
forged("wrong token in a form", body="csrfmiddlewaretoken=abc", headers={"Content-Type": "application/x-www-form-urlencoded"})
forged("incorrect token in a form", body="csrfmiddlewaretoken=" + "a" * 32, headers={"Content-Type": "application/x-www-form-urlencoded"})
for o in ("http://testserver", "https://testserver", "http://localhost:3000", "https://localhost:3000", "http://localhost",
          "null", "", "https://a.example.org", "https://example.org", "http://a.example.org", "https://aexample.org",
          "https://a.example.org:8443", "http://[", "evil"):
    forged("origin " + o, csrf="${csrf}", headers={"Origin": o})
forged("origin over https", csrf="${csrf}", headers={"Origin": "https://testserver", **S})
forged("plain origin over https", csrf="${csrf}", headers={"Origin": "http://testserver", **S})
forged("bad origin without a token", headers={"Origin": "http://evil.example"})
forged("referer is not looked at over http", csrf="${csrf}", headers={"Referer": "http://evil.example/"})
forged("no referer over https", csrf="${csrf}", headers=S)
for r in ("https://testserver/page", "https://TESTSERVER/", "http://testserver/", "https://evil.example/a?b#c", "http://localhost:3000", "https://localhost:3000/x",
          "https://localhost/", "https://a.example.org/", "https://example.org/", "https://aexample.org/", "", "/relative", "https:", "https://", "garbage",
          "https://[", "https://testserver:8443/", "HTTPS://testserver/"):
    forged("referer " + r, csrf="${csrf}", headers={"Referer": r, **S})
forged("good referer, no token", headers={"Referer": "https://testserver/", **S})
case("csrf: safe methods are free", "GET", "/api/sms/history", "admin")
case("csrf: a put is checked before its method", "PUT", "/api/customers", "admin", json={})
case("csrf: a put with the token", "PUT", "/api/customers", "admin", json={}, csrf="${csrf}")
case("csrf: a delete with the token in a form", "DELETE", "/api/customers", "admin", body="csrfmiddlewaretoken=${csrf}", headers={"Content-Type": "application/x-www-form-urlencoded"})
for p in PATHS:
    for m in ("GET", "POST", "HEAD", "OPTIONS", "PATCH"):
        if (m, p) != ("POST", "/api/auth/logout"):
            case(f"{m} {p} signed in", m, p, "admin", csrf="${csrf}")
case("accept html signed in", "GET", "/api/customers", "admin", headers={"Accept": "text/html"})
case("indented", "GET", "/api/customers/1", "admin", headers={"Accept": "application/json; indent=2"})

# Customers.
def post(name, path, jar="admin", **more):
    case(name, "POST", path, jar, csrf="${csrf}", **more)


post("customer", "/api/customers", json=NEW, save={"customer": "id"})
post("the same number again", "/api/customers", json=NEW)
post("international", "/api/customers", json={"phone_number": "+819012345678", "name": "山田 \u2028\u2029 \"花子\" \\ \x7f</script>\t\n\x01\U0001f600"})
post("hyphens", "/api/customers", json={"phone_number": "090-1234-5678", "name": "  spaces  "}, save={"hyphens": "id"})
for n in ("", "   ", "0312345678", "9012345678", "090123456789", "0901234567", "+0901234567", "+81", "+8190123456781234", "０９０１２３４５６７８",
          "090 1234 5678", "09012345678\n", "abc", "090-12345678", "+81-90-1234-5678", "0" * 21, "x" * 21, "+1234567", "07012345678", "06012345678", "05012345678"):
    post("number " + n, "/api/customers", json={"phone_number": n})
for v in (None, True, [], {}, 9012345678, 1.5, 1e400 if False else 12345678901234567890123):
    post(f"number {v!r}", "/api/customers", json={"phone_number": v})
post("unknown fields are ignored", "/api/customers", json={**NEW, "id": 99, "created_at": "x", "x": 1})
post("name too long", "/api/customers", json={**NEW, "name": "あ" * 101})
post("name of 100", "/api/customers", json={**NEW, "name": "あ" * 100})
post("name blank", "/api/customers", json={**NEW, "name": ""})
post("name null", "/api/customers", json={**NEW, "name": None})
post("name a number", "/api/customers", json={**NEW, "name": 12.50})
post("two errors", "/api/customers", json={"phone_number": "x", "name": []})
post("a list", "/api/customers", json=[NEW])
post("null", "/api/customers", json=None)
post("not JSON", "/api/customers", body="{'a':1}")
post("empty body", "/api/customers")
post("not UTF-8", "/api/customers", hex="7b226e616d65223a22ff227d")
case("customer", "GET", "/api/customers/${customer}", "admin")
case("somebody else's customer", "GET", "/api/customers/${customer}", "operator")
case("no such customer", "GET", "/api/customers/999999", "admin")
case("a customer beyond 64 bits", "GET", "/api/customers/99999999999999999999", "admin")
case("a customer with zeros", "GET", "/api/customers/0001", "admin")
case("post to a customer", "POST", "/api/customers/${customer}", "admin", csrf="${csrf}", json={})

# Templates.
T = "/api/customers/${customer}/templates"
post("template", T, json={"name": "welcome_message", "content": "ご登録ありがとうございます。"}, save={"template": "id"})
post("template of the same name", T, json={"name": "welcome_message", "content": "x"})
post("same name of another customer", "/api/customers/${hyphens}/templates", json={"name": "welcome_message", "content": "x"}, save={"other": "id"})
post("template without anything", T, json={})
post("template without content", T, json={"name": "a"})
post("template with blanks", T, json={"name": " ", "content": "\n"})
post("template too long", T, json={"name": "n" * 51, "content": "c" * 671})
post("template at its limit", T, json={"name": "n" * 50, "content": "c" * 670})
post("template with nulls", T, json={"name": None, "content": None})
post("template with other types", T, json={"name": 5, "content": True})
post("template naming a customer", T, json={"name": "b", "content": "c", "customer": 1, "customer_id": 2})
post("template, not JSON", T, body="[1,")
post("template of nobody", "/api/customers/999999/templates", json={"name": "a", "content": "b"})
post("template of nobody, not JSON", "/api/customers/999999/templates", body="{")
post("template of somebody else's", T, jar="operator", json={"name": "a", "content": "b"})
post("template as a list", T, json=[])
case("templates", "GET", T, "admin")
case("templates of nobody", "GET", "/api/customers/999999/templates", "admin")
case("templates of somebody else", "GET", T, "operator")

# Tokens.
def token(name="", **more):
    post("token " + name, "/api/tokens", json={"customer_id": "${customer}"}, raw=True, save={"token": "token"}, **more)


token("right")
for v in (None, "", " ", "x", "1", " 1 ", "01", "+1", "-1", "1_0", "1.0", "١", True, False, 1.0, 1.5, 1e2, -1, 0, 999999, 99999999999999999999, [], [1], {}, "9" * 30):
    post(f"token for {v!r}", "/api/tokens", json={"customer_id": v})
post("token without anything", "/api/tokens", json={})
post("token for infinity", "/api/tokens", body='{"customer_id":1e999}')
post("token for NaN", "/api/tokens", body='{"customer_id":NaN}')
post("token for somebody else's", "/api/tokens", jar="operator", json={"customer_id": 1})
post("token as text", "/api/tokens", json="x")

# Sending: five requests an hour are let through, refused or not.
def send(name, jar="admin", **fields):
    d = {"phone_number": "09012345678", "token": "${token}", "customer_id": "${customer}", "template_id": "${template}"}
    more = {k: fields.pop(k) for k in ("wait", "refuse", "body") if k in fields}
    d.update(fields)
    if "body" not in more:
        more.update(json={k: v for k, v in d.items() if v != "-"}, raw=True)
    post("send: " + name, "/api/sms/send", jar, **more)


def hour():
    case("an hour later", "GET", "/api/auth/login", wait=3600)


hour()
send("right")
send("with the token again")
send("unknown token", token="nope")
token("of hyphens")
send("hyphens are the same number", phone_number="090-1234-5678")
token()
send("international is the same number", phone_number="+819012345678")
send("over the limit")
case("over the limit, 90.5 s later", "GET", "/api/auth/login", wait=90.5)
send("still over the limit")
case("sending is limited, the history is not", "GET", "/api/sms/history", "admin")
case("even asking counts", "GET", "/api/sms/send", "admin")
send("another user has a limit of their own", jar="operator")
case("without a token it is refused first", "POST", "/api/sms/send", "admin", json={})
case("one second before", "GET", "/api/auth/login", wait=3600 - 90.5 - 1)
send("one second to go")
case("half a second before", "GET", "/api/auth/login", wait=0.5)
send("half a second to go")
hour()
send("nothing", body="{}")
send("nulls", phone_number=None, token=None, customer_id=None, template_id=None)
send("wrong types", phone_number=[], token={}, customer_id="x", template_id=[1])
send("unknown ids", customer_id=999999, template_id=999999)
send("another number", phone_number="08012345678")
hour()
send("template of another customer", template_id="${other}")
send("template of another customer and another number", template_id="${other}", phone_number="08012345678")
send("token too long", token="t" * 65)
send("blank token", token="")
send("no template", template_id="-")
hour()
token("for a refusal")
send("the gateway refuses", refuse=["Throttling", "Rate exceeded"])
send("the token is still good after it")
token("for another customer")
post("a token of another customer", "/api/tokens", json={"customer_id": "${hyphens}"}, raw=True, save={"token": "token"})
send("token of another customer")
token("to expire")
case("ten minutes later", "GET", "/api/auth/login", wait=600)
send("expired token")
send("expired and another customer's template", template_id="${other}")

# The history and its pages.
H = "/api/sms/history"
hour()
for i in range(5):
    token(f"{i}")
    send(f"for the pages {i}")
for q in ("", "?page=1", "?page=2", "?page=3", "?page=0", "?page=-1", "?page=x", "?page=last", "?page=", "?page=1.0", "?page=01", "?page=%201", "?page=+1", "?page_size=2", "?page_size=2&page=2",
          "?page_size=2&page=4", "?page_size=2&page=5", "?page_size=2&page=last", "?page_size=0", "?page_size=-1", "?page_size=x", "?page_size=1000", "?page_size=100",
          "?page=2&page_size=2&b=%E3%81%82&a=1+2", "?page_size=3&page_size=2", "?page_size=2&page=3&a", "?page_size=2&a=&b=1", "?page_size=2&a=~-._!*'()%7E%2F:", "?page=99999999999999999999",
          "?page_size=2&a=%FF", "?page_size=2&;x=1", "?page_size=1&page=2&page=3", "?page_size=+2", "?page_size=2.0", "?page_size=1_0", "?page_size=%D9%A2"):
    case("history " + q, "GET", H + q, "admin")
case("history of somebody else", "GET", H, "operator")
case("history HEAD", "HEAD", H, "admin")
case("history over https at another host", "GET", H + "?page_size=2", "admin", headers={"X-Forwarded-Proto": "https", "Host": "sms.example.com:8443"})
case("customers paged", "GET", "/api/customers?page_size=2&page=2", "admin")
case("templates paged", "GET", T + "?page_size=1", "admin")

# The end of a session.
case("logout without the token", "POST", "/api/auth/logout", "admin")
case("logout with a body that is not JSON", "POST", "/api/auth/logout", "admin", csrf="${csrf}", body="{")
case("signed out", "GET", H, "admin")
case("signed out, the token alone", "POST", "/api/customers", "admin", csrf="${csrf}", json={})
case("logout twice", "POST", "/api/auth/logout", "admin", csrf="${csrf}")
login("after logout", "admin", json=LOGIN)
case("two weeks later, a second before", "GET", H, "admin", wait=1209600 - 1)
case("two weeks later", "GET", H, "admin", wait=1)

application = get_wsgi_application()
jars, saved = {}, {}


def expand(text, jar):
    known = {**saved, "csrf": jar.get("csrftoken", "")}
    if len(known["csrf"]) == 32:
        known["masked"] = _mask_cipher_secret(known["csrf"])
    for k, v in known.items():
        text = text.replace("${%s}" % k, str(v))
    return text


def mask(text):
    text = re.sub(r"sessionid=[a-z0-9]{32}", "sessionid=<session>", text)
    text = re.sub(r"csrftoken=[A-Za-z0-9]{32}", "csrftoken=<csrf>", text)
    text = re.sub(r'"token":"[A-Za-z0-9_-]{43}"', '"token":"<token>"', text)
    return re.sub(r'"message_id":"[0-9a-f-]{36}"', '"message_id":"<id>"', text)


def play(c):
    global moved
    moved += c.get("wait", 0)
    if "refuse" in c:
        app.refuse.append(tuple(c["refuse"]))
    jar = jars.setdefault(c["jar"], {}) if c["jar"] else {}
    headers = {"Host": "testserver"}
    if "json" in c:
        text = json.dumps(c["json"], ensure_ascii=False)
        if c.get("raw"):  # "${id}" becomes a number where it is one
            text = re.sub(r'"\$\{(customer|template|other|hyphens)\}"', r"${\1}", text)
        c["body"] = c.get("body", text)
        headers["Content-Type"] = "application/json"
    elif "body" in c or "hex" in c:
        headers["Content-Type"] = "application/json"
    headers.update(c.get("headers", {}))
    if c.get("csrf") is not None:
        headers["X-CSRFToken"] = c["csrf"]
    cookies = [f"{k}={v}" for k, v in jar.items() if k != c.get("drop")] + ([c["cookie"]] if "cookie" in c else [])
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    body = bytes.fromhex(c["hex"]) if "hex" in c else expand(c.get("body", ""), jar).encode()
    path, _, query = expand(c["path"], jar).partition("?")
    from urllib.parse import unquote_to_bytes

    environ = {
        "REQUEST_METHOD": c["method"], "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query,
        "SERVER_NAME": "testserver", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for k, v in headers.items():
        if v is None:
            continue
        k = k.upper().replace("-", "_")
        environ[k if k == "CONTENT_TYPE" else "HTTP_" + k] = expand(v, jar).encode().decode("latin-1")
    out = {}

    def start(status, fields, exc_info=None):
        out["status"], out["headers"] = int(status.split()[0]), [(k, v.strip()) for k, v in fields]

    answer = application(environ, start)
    text = b"".join(answer).decode()
    answer.close()
    for k, v in out["headers"]:
        if k == "Set-Cookie" and c["jar"]:
            name, _, rest = v.partition("=")
            value = rest.split(";")[0].strip('"')
            jar[name] = value
            if not value:
                del jar[name]
    for variable, field in c.get("save", {}).items():
        saved[variable] = json.loads(text)[field]
    request = {k: v for k, v in c.items() if k in ("name", "jar", "wait", "refuse", "method", "path", "body", "hex", "drop", "cookie", "save")}
    request["headers"] = {k: v for k, v in headers.items() if v is not None and (k != "Cookie" or not cookies)}
    return {"request": request, "status": out["status"], "headers": [[k, mask(v)] for k, v in out["headers"]], "body": mask(text)}


def texts():
    """Inputs for the JSON parser: written by hand, then broken at random."""
    good = ['{"a":1}', '{"phone_number":"09012345678","name":"\\u3042\\n"}', '[1,2.5,-3e+7,true,false,null,"x"]', '{"a":{"b":[{}]},"c":[]}',
            '"\\ud83d\\ude00"', ' { "a" : [ 1 , 2 ] } ', '0', '-0', '1E5', '"é"', '{"a":1,"a":2}', '[[[[]]]]', '12345678901234567890', '{"":""}', '1e999', '-1e999']
    bad = ["", " ", "\n", "{", "}", "[", "]", "{}x", "{} {}", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}', '{"a":1 "b":2}', "{a:1}", "{'a':1}", '{1:2}',
           '"', '"a', '"a\n"', '"a\x00"', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\u"', '"\\', '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83d\\u0041"', '"\\ud83dx"', '"\\ud83d\\', '"\\ud83d\\u12"', "tru", "True", "nul", "NaN", "-Infinity", "Infinity", "[NaN]", "-", "+1",
           "01", "1.", ".5", "1e", "1e+", "-a", "--1", "0x1", "\ufeff{}", "a=b", '{"a":1}\n\nx', '[\n1,\n2\n,,]', '[1,\n"é\nx"]', '{"é":é}', "[" * 50, '{"a":' * 20, "\x0c1", "\xa01", "1\xa0", '{,}', '{"a":1,,}', '[1;2]', '{"a";1}', "// x\n1", "nullx", "null x", "\U0001f600x", '["\U0001f600",x]', "[1\r\n,\r\nx]", "\\", "'", "undefined", '{"a":tru}', '[1, 2', '{"a": 1', '{"a"', '{"a":', '{"a":1,', '["a', '[1,', '"\x1f"', '"\x7f"', '[-]', '{"a":-}', '[1e5x]', '- 1', "\u30421", '"\\u00e9"', '"\\u+123"', '"\\u 123"', '"\\u0x12"', '"\\u_123"', '"\\uffff"', '"\\u１２３４"', '[١]', '1١']
    rnd = random.Random(1)
    out = list(dict.fromkeys(good + bad))
    while len(out) < 700:
        s = list(rnd.choice(good + bad[10:]))
        for _ in range(rnd.randrange(1, 3)):
            at = rnd.randrange(len(s) + 1)
            c = rnd.choice('{}[]:,"\\ \n0-e.tuxé\x01NI')
            if rnd.random() < 0.4 and at < len(s):
                del s[at]
            elif rnd.random() < 0.5 and at < len(s):
                s[at] = c
            else:
                s.insert(at, c)
        if "".join(s) not in out:
            out.append("".join(s))
    raw = [b"\xff", b'"\xc3\x28"', b'"\xe3\x81"', b'"\xe3', b'"\xed\xa0\x80"', b'"\xf0\x9f\x98"', b'"\xf5\x80\x80\x80"', b'"\xc0\x80"', b'"\xe3\x81\x82\x80"', b'"\xf4\x90\x80\x80"', b'1\xe3\x81', b'"\xf0\x80\x80\x80"', b'"\xe0\x80\x80"', b'"abc\x80def"', b'"\xc3', b'{"a":"\xe3\x28\xa1"}', b'"\xf0\x9f\x28\x80"', b'\x80', b'1\xff\xff']
    return [s.encode() for s in out] + raw


def parse(raw):
    try:
        value = JSONParser().parse(io.BytesIO(raw), "application/json", {"encoding": "utf-8"})
    except ParseError as e:
        return {"hex": raw.hex(), "error": str(e)}
    return {"hex": raw.hex(), "value": json.dumps(value, separators=(",", ":"))}


def write(name, versions, key, rows):
    with open(os.path.join(HERE, "..", name), "w") as f:
        head = {"recorded_from": versions, "clock": NOW.isoformat(), "script": "record/record.py"}
        f.write("{\n " + ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()) + f',\n "{key}": [\n  ')
        f.write(",\n  ".join(json.dumps(r, ensure_ascii=False).replace("\x7f", "\\u007f").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") for r in rows))
        f.write("\n ]\n}\n")


logging.getLogger("django").setLevel(logging.CRITICAL)
versions = {"python": sys.version.split()[0], "django": django.__version__, "djangorestframework": rest_framework.__version__}
app.prepare()
write("django.json", versions, "cases", [play(c) for c in cases])
write("pyjson.json", versions, "texts", [parse(raw) for raw in texts()])
print(len(cases), "cases,", versions)

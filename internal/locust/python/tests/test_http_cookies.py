"""A session's cookies, and those of answers."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from http_case import Case  # noqa: E402

from locust.clients import HttpSession  # noqa: E402


class Cookies(Case):
    def cookie(self, response):
        return self.headers(response).get("Cookie")

    def test_kept_and_sent(self):
        r = self.c.get("/cookies/set?csrftoken=abc&theme=dark")
        self.assertEqual((r.cookies.get("csrftoken"), r.cookies["theme"], "nope" in r.cookies), ("abc", "dark", False))
        self.assertEqual(self.cookie(self.c.get("/")), "csrftoken=abc; theme=dark")
        jar = self.c.cookies
        self.assertEqual((jar.get("csrftoken"), len(jar), sorted(jar.keys()), dict(jar)), ("abc", 2, ["csrftoken", "theme"], {"csrftoken": "abc", "theme": "dark"}))
        self.assertEqual({cookie.name: cookie.domain for cookie in jar}, {"csrftoken": "127.0.0.1", "theme": "127.0.0.1"})
        self.c.get("/cookies/set?csrftoken=new")
        self.assertEqual(jar["csrftoken"], "new", "asked again, because an answer has set some")
        self.c.get("/cookies/expire?theme=1")
        self.assertEqual(jar.get_dict(), {"csrftoken": "new"})
        self.assertIsNone(jar.get("theme"))
        with self.assertRaises(KeyError):
            jar["theme"]

    def test_set_by_the_script(self):
        jar = self.c.cookies
        jar.set("a", "1")
        jar["b"] = "2"
        jar.update({"c": "3"})
        self.assertEqual(self.cookie(self.c.get("/")), "a=1; b=2; c=3")
        del jar["b"]
        jar.set("c", None)
        self.assertEqual(self.cookie(self.c.get("/")), "a=1")
        jar.set("d", "4", domain="127.0.0.1", path="/")
        self.assertEqual(self.cookie(self.c.get("/")), "d=4; a=1")
        self.assertEqual(jar.get("d", domain="127.0.0.1"), "4")
        jar.clear()
        self.assertEqual((len(jar), self.cookie(self.c.get("/"))), (0, None))

    def test_one_is_removed(self):
        self.c.get("/cookies/set?a=1&b=2")
        del self.c.cookies["a"]
        self.assertEqual(self.cookie(self.c.get("/")), "b=2")
        self.c.cookies.clear("127.0.0.1", "/", "b")
        self.assertIsNone(self.cookie(self.c.get("/")))

    def test_replaced(self):
        self.c.get("/cookies/set?old=1")
        self.c.cookies = {"new": "2"}
        self.assertEqual(self.cookie(self.c.get("/")), "new=2")
        other = HttpSession(self.server.url, self.event, None)
        other.cookies = self.c.get("/cookies/set?third=3").cookies
        self.assertEqual(self.cookie(other.get("/")), "third=3")

    def test_of_one_request(self):
        r = self.c.get("/cookies/set?csrftoken=abc")
        self.assertEqual(self.cookie(self.c.get("/", cookies={"csrftoken": "abc", "x": "1"})), "csrftoken=abc; csrftoken=abc; x=1", "as requests does")
        self.assertEqual(self.cookie(self.c.get("/", cookies=r.cookies)), "csrftoken=abc")
        self.assertEqual(self.cookie(self.c.get("/", cookies={"none": None})), "csrftoken=abc; none")
        self.assertEqual(self.cookie(self.c.get("/", headers={"Cookie": "own=1"})), "own=1")
        self.assertEqual(self.cookie(self.c.get("/")), "csrftoken=abc")


if __name__ == "__main__":
    unittest.main()

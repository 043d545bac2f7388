"""Users: tasks and their order, waits, starts and stops, in every way this Python can hold them."""

import tempfile
import unittest

from peer import Peer, answer, write
from ways import WAYS

HEAD = """
    import time
    from locust import *
    from locust.exception import *
"""


class Case(unittest.TestCase):
    """One interpreter for each way."""

    def each(self, text, users, steps=None, name="locustfile.py", load=None, respond=None):
        """Loads text, starts users [(number, class)], and calls steps(peer, way) before it all ends."""
        for way in WAYS:
            with self.subTest(way=way), tempfile.TemporaryDirectory() as folder:
                path = write(folder, name, HEAD + text)
                peer = Peer(cwd=folder, env={"WEIR_USERS_AS": way}, respond=respond)
                try:
                    loaded = peer.load(path, **(load or {}))
                    self.assertNotIn("error", loaded)
                    self.assertEqual(loaded["scheduler"], way)
                    peer.event("init")
                    peer.event("test_start")
                    peer.start(*users)
                    if steps:
                        steps(peer, way)
                    self.assertEqual(peer.bye(), 0)
                finally:
                    peer.close()

    def lines(self, peer, count, seconds=120):
        """The first lines printed, once there are so many."""
        peer.until(lambda: peer.printed().count("\n") >= count, seconds)
        return [line for line in peer.printed().splitlines() if not line.startswith("[")]


class Tasks(Case):
    def test_orders(self):
        text = """
    class Deep(TaskSet):
        def on_start(self): print("deep in")
        def on_stop(self): print("deep out")
        @task
        def one(self):
            print("deep", self.user.n, type(self.parent).__name__, self.client is self.user.client)
            self.interrupt(reschedule=False)

    class Steps(SequentialTaskSet):
        def on_start(self): self.user.n = 0
        @task
        def first(self): print("first")
        tasks = [Deep]
        @task(2)
        def second(self):
            self.user.n += 1
            print("second", self.user.n)
            if self.user.n == 2: raise StopUser()

    class Chain(MarkovTaskSet):
        @transition("b")
        def a(self): print("a")
        @transitions({"a": 1})
        def b(self): print("b"); self.user.stop(True)

    class U(User):
        client = "client"
        tasks = [Steps]
        def on_stop(self): print("stopped", self.n)

    class M(User):
        tasks = {Chain: 3}
        """

        def steps(peer, way):
            peer.until(lambda: 1 in peer.ended)
            wanted = "first|deep in|deep 0 Steps True|deep out|second 1|second 2|stopped 2".split("|")
            self.assertEqual(self.lines(peer, len(wanted))[-len(wanted) :], wanted)
            self.assertEqual(peer.ended[1], (1, ""))
            peer.start((2, 1))
            peer.until(lambda: 2 in peer.ended)
            self.assertEqual(self.lines(peer, len(wanted) + 2)[-2:], ["a", "b"])

        self.each(text, [(1, 0)], steps)

    def test_reschedule_and_errors(self):
        text = """
    class U(User):
        wait_time = constant(0.01)
        n = 0
        def on_start(self): print("begin")
        @task
        def t(self):
            self.n += 1
            print("task", self.n)
            if self.n == 1: raise RescheduleTask()
            if self.n == 2: raise RescheduleTaskImmediately()
            if self.n == 3: raise KeyError("gone")
            if self.n == 4: raise InterruptTaskSet()
            raise StopUser()
    @events.user_error.add_listener
    def on_error(user_instance, exception, tb, **kw):
        print("error", type(user_instance).__name__, repr(exception))
        """

        def steps(peer, way):
            peer.until(lambda: 1 in peer.ended)
            printed = peer.printed()
            self.assertIn("error DefaultTaskSet KeyError('gone')", printed)
            self.assertIn("locust.user.task: 'gone'\nTraceback", printed)
            self.assertEqual(len(peer.frames[b"P"]), 1, printed)
            problem = peer.frames[b"P"][0]
            self.assertEqual(
                (problem["kind"], problem["type"], problem["message"], problem["user"]),
                ("task", "KeyError", "'gone'", 1),
            )
            self.assertTrue(problem["file"].endswith("locustfile.py") and problem["line"] > 5)
            self.assertIn("raise KeyError", problem["traceback"])

        self.each(text, [(1, 0)], steps)

    def test_failing_starts(self):
        text = """
    class BadStart(User):
        def on_start(self): raise ValueError("no way in")
        @task
        def t(self): pass
    class BadInit(User):
        def __init__(self, *args):
            super().__init__(*args)
            raise ValueError("not made")
        @task
        def t(self): pass
    class NoBase(User):
        def __init__(self, environment): pass
        @task
        def t(self): pass
    class NoHost(HttpUser):
        @task
        def t(self): pass
    class NoTasks(User):
        wait_time = constant(0.01)
        """

        def steps(peer, way):
            peer.until(lambda: len(peer.ended) == 4 and peer.frames[b"P"] and "No tasks" in peer.printed())
            self.assertEqual({number: why for number, (why, _) in peer.ended.items()}, {1: 2, 2: 2, 3: 2, 4: 2})
            kinds = sorted((each["kind"], each["message"]) for each in peer.frames[b"P"] if each["user"] != 5)
            self.assertEqual([kind for kind, _ in kinds], ["init", "init", "task"])
            self.assertIn("Attribute 'environment' is missing on user NoBase", kinds[0][1])
            self.assertEqual(kinds[2][1], "no way in")
            self.assertIn("You must specify the base host.", peer.printed())
            told = [each["op"] for each in peer.frames[b"J"]]
            self.assertIn("quit", told)
            self.assertIn("unhandled", told)

        self.each(text, [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)], steps)

    def test_sys_exit(self):
        text = """
    import sys
    class U(User):
        @task
        def t(self): sys.exit(7)
    class Spawns(User):
        @task
        def t(self):
            import gevent
            gevent.spawn(sys.exit, 8)
            time.sleep(60)
        """

        def steps(peer, way):
            peer.until(lambda: 1 in peer.ended)
            peer.until(lambda: len([each for each in peer.frames[b"J"] if each["op"] == "sys_exit"]) == 2)
            told = sorted((each["code"], each["user"]) for each in peer.frames[b"J"] if each["op"] == "sys_exit")
            self.assertEqual(told, [(7, 1), (8, 2)])
            self.assertTrue(any(each.get("line", 0) > 5 for each in peer.frames[b"J"]))

        self.each(text, [(1, 0), (2, 1)], steps)


class Stops(Case):
    text = """
    class U(HttpUser):
        host = "http://x"
        wait_time = constant(60)
        def on_stop(self):
            self.client.get("/bye")
            print("bye", self._weir_id)
        @task
        def t(self):
            self.client.get("/slow")
            time.sleep(0.05)
            print("task done")
    class Waits(User):
        wait_time = constant(60)
        def on_stop(self): print("woken")
        @task
        def t(self): print("waits")
    """

    def test_at_once(self):
        def steps(peer, way):
            peer.until(lambda: [r.url for r in peer.requests] == ["http://x/slow"] and "waits" in peer.printed())
            peer.stop(1, 2)
            peer.until(lambda: len(peer.ended) == 2)
            self.assertEqual(peer.ended, {1: (0, ""), 2: (0, "")})
            self.assertNotIn("task done", peer.printed())
            self.assertEqual(peer.requests[-1].url, "http://x/bye")
            self.assertIn("bye 1", peer.printed())

        def respond(request):
            return answer() if request.url.endswith("/bye") else None

        self.each(self.text, [(1, 0), (2, 1)], steps, respond=respond)

    def test_after_the_task(self):
        def steps(peer, way):
            peer.until(lambda: peer.requests and "waits" in peer.printed())
            peer.stop(1, 2)
            peer.until(lambda: len(peer.ended) == 2)
            self.assertIn("task done", peer.printed())

        self.each(self.text, [(1, 0), (2, 1)], steps, load={"stop_timeout": 5})

    def test_second_stop_and_kill(self):
        def steps(peer, way):
            peer.until(lambda: len(peer.requests) == 2)
            peer.stop(1, 2)
            peer.event("ratios")
            self.assertEqual(peer.ended, {})
            peer.stop(1)
            peer.send(b"K", 0, (2).to_bytes(4, "little"))
            peer.until(lambda: len(peer.ended) == 2)
            self.assertIn("bye 1", peer.printed())
            self.assertNotIn("bye 2", peer.printed())

        def respond(request):
            return answer() if request.url.endswith("/bye") else None

        self.each(self.text, [(1, 0), (2, 0)], steps, load={"stop_timeout": 5}, respond=respond)

    def test_users_that_are_not_made_yet(self):
        text = """
    class U(User):
        def __init__(self, *args):
            super().__init__(*args)
            time.sleep(0.2)
            print("made", self._weir_id)
        @task
        def t(self): time.sleep(60)
        """

        def steps(peer, way):
            peer.stop(2, 3)
            peer.until(lambda: len(peer.ended) == 2)
            peer.stop(1)
            peer.until(lambda: len(peer.ended) == 3)
            self.assertEqual({why for why, _ in peer.ended.values()}, {0})
            self.assertNotIn("made 2", peer.printed())

        self.each(text, [(1, 0), (2, 0), (3, 0)], steps)


class Waits(Case):
    def test_what_was_waited_is_told(self):
        text = """
    class U(HttpUser):
        host = "http://x"
        wait_time = constant(0.02)
        @task
        def t(self):
            self.client.get("/a")
            time.sleep(0.03)
        """

        def steps(peer, way):
            peer.until(lambda: len(peer.requests) >= 5)
            self.assertEqual(peer.requests[0].waited, 0)
            for request in peer.requests[1:5]:
                self.assertAlmostEqual(request.waited, 0.05, places=6)
                self.assertEqual((request.user, request.session), (1, 0))

        self.each(text, [(1, 0)], steps)

    def test_pacing(self):
        text = """
    class U(User):
        wait_time = constant_pacing(0.1)
        n = 0
        @task
        def t(self):
            self.begin = getattr(self, "begin", time.perf_counter())
            time.sleep(0.03)
            self.n += 1
            if self.n == 4:
                print("took", round(time.perf_counter() - self.begin, 2))
                raise StopUser()
        """

        def steps(peer, way):
            peer.until(lambda: 1 in peer.ended)
            took = float(peer.printed().split("took ")[1].split()[0])
            self.assertGreaterEqual(took, 0.3)

        self.each(text, [(1, 0)], steps)


class Many(Case):
    def test_many_users_share_one_loop(self):
        text = """
    seen = []
    class U(HttpUser):
        host = "http://x"
        @task
        def t(self):
            before = len(seen)
            seen.append(self._weir_id)
            assert len(seen) == before + 1
            self.client.get(f"/{self._weir_id}")
        """

        def steps(peer, way):
            peer.until(lambda: len(peer.requests) > 1000 and len({request.user for request in peer.requests}) == 300)
            for request in peer.requests:
                self.assertEqual(request.url, f"http://x/{request.user}")
            peer.stop(*range(1, 301))
            peer.until(lambda: len(peer.ended) == 300)
            self.assertNotIn("AssertionError", peer.printed())

        self.each(text, [(number, 0) for number in range(1, 301)], steps)


if __name__ == "__main__":
    unittest.main()

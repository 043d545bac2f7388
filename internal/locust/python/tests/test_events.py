"""Events, statistics, the environment and the runner, as scripts use them."""

import tempfile
import time
import unittest

from peer import Peer, write
from ways import WAYS

SCRIPT = """
    import time
    import gevent
    from locust import *
    from locust import stats as stats_module
    from locust.runners import *
    from locust.exception import *

    stats_module.CONSOLE_STATS_INTERVAL_SEC = 7
    def say(name):
        def listener(**kw):
            print(" ".join([name, *sorted(kw)]))
        return listener
    for name in ("init test_start spawning_complete test_stopping test_stop quitting quit reset_stats cpu_warning"
                 " usage_monitor").split():
        getattr(events, name).add_listener(say(name))

    @events.request.add_listener
    def on_request(request_type, name, response_time, response_length, exception, context, **kw):
        print("request", request_type, name, response_length, repr(exception), context, sorted(kw))

    @events.init.add_listener
    def on_init(environment, **kw):
        runner = environment.runner
        print("runner", isinstance(runner, LocalRunner), isinstance(runner, WorkerRunner), runner.state, runner.worker_index)
        runner.register_message("hello", lambda environment, msg, **kw: print("message", msg.type, msg.data))
        runner.send_message("hello", {"a": 1})
        runner.greenlet.spawn(watch, environment)

    def watch(environment):
        while environment.runner.state != STATE_RUNNING:
            time.sleep(0.01)
        print("running", environment.runner.user_count, environment.runner.user_classes_count)

    @events.test_start.add_listener
    def started(environment, **kw):
        options = environment.parsed_options
        print("target", environment.runner.target_user_count, options.num_users, options.spawn_rate, environment.host)

    @events.test_stop.add_listener
    def stopped(environment, **kw):
        total = environment.stats.total
        print("stats", total.num_requests, total.num_failures, total.fail_ratio, total.avg_response_time,
              total.median_response_time, total.get_response_time_percentile(0.95), total.min_response_time,
              total.max_response_time, round(total.total_rps, 2), total.current_rps)
        print("entry", environment.stats.get("/a", "GET").num_requests, sorted(environment.stats.entries))
        print("errors", [each.to_name() for each in environment.runner.errors.values()])
        stats_module.print_stats(environment.stats, current=False)

    @events.quitting.add_listener
    def quitting(environment, **kw):
        environment.process_exit_code = 4

    class U(HttpUser):
        host = "http://x"
        def context(self): return {"who": self._weir_id}
        @task
        def t(self):
            self.client.get("/a")
            with self.environment.events.request.measure("own", "step", 5) as meta:
                meta["context"] = {"more": True}
                raise ValueError("inside")
        @task(0)
        def never(self): pass

    class Quits(User):
        @task
        def t(self):
            self.environment.events.request.fire(request_type="WS", name="frame", response_time=1.5, response_length=3,
                exception=CatchResponseError("odd"), context={}, start_time=time.time())
            self.environment.runner.quit()
            print("never printed")
"""

STATS = {
    "entries": [
        {"name": "/a", "method": "GET", "num_requests": 4, "num_failures": 1, "total_response_time": 100.0,
         "min_response_time": 10.5, "max_response_time": 50.0, "total_content_length": 40, "start_time": 1000.0,
         "last_request_timestamp": 1002.0, "response_times": {"10": 2, "30": 1, "50": 1},
         "num_reqs_per_sec": {"1000": 2, "1001": 2}, "num_fail_per_sec": {"1001": 1}},
    ],
    "total": {"name": "Aggregated", "method": "", "num_requests": 4, "num_failures": 1, "total_response_time": 100.0,
         "min_response_time": 10.5, "max_response_time": 50.0, "total_content_length": 40, "start_time": 1000.0,
         "last_request_timestamp": 1002.0, "response_times": {"10": 2, "30": 1, "50": 1},
         "num_reqs_per_sec": {"1000": 2, "1001": 2}, "num_fail_per_sec": {"1001": 1}},
    "errors": [{"method": "GET", "name": "/a", "error": "CatchResponseError('odd')", "occurrences": 1}],
}  # fmt: skip

WANTED = """
    runner True False ready 0
    message hello {'a': 1}
    init environment runner web_ui
    target 2 2 1 http://y
    test_start environment
    spawning_complete user_count
    running 1 {'U': 1, 'Quits': 0}
    request WS frame 3 CatchResponseError('odd') {} ['start_time']
    request own step 5 ValueError('inside') {'more': True} ['start_time']
    test_stopping environment
    stats 4 1 0.25 25.0 30 50 10.5 50.0 2.0 0.0
    entry 4 [('/a', 'GET')]
    errors ['GET /a: odd']
    test_stop environment
    cpu_warning cpu_usage environment
    usage_monitor cpu_usage environment memory_usage
    reset_stats
    quitting environment
    quit exit_code
"""


class Run(unittest.TestCase):
    def test_one_run(self):
        for way in WAYS:
            with self.subTest(way=way), tempfile.TemporaryDirectory() as folder:
                peer = Peer(cwd=folder, env={"WEIR_USERS_AS": way})
                peer.stats = STATS
                try:
                    loaded = peer.load(write(folder, "locustfile.py", SCRIPT), num_users=2, host="http://y")
                    self.assertEqual(loaded["stats_settings"], {"CONSOLE_STATS_INTERVAL_SEC": 7})
                    peer.event("init")
                    peer.event("test_start", target_user_count=2)
                    peer.start((1, 0), (2, 1))
                    peer.until(lambda: any(each["op"] == "quit" for each in peer.frames[b"J"]) and 2 in peer.ended)
                    peer.event("spawning_complete", user_count=2)
                    self.assertEqual(peer.ended[2][0], 1)
                    peer.until(lambda: "running" in peer.printed() and len(peer.frames[b"S"]) >= 2)
                    peer.event("test_stopping")
                    peer.stop(1, 2)
                    peer.until(lambda: len(peer.ended) == 2)
                    peer.event("test_stop")
                    peer.event("cpu_warning", cpu_usage=99.0)
                    peer.event("usage_monitor", cpu_usage=1.0, memory_usage=2)
                    peer.event("reset_stats")
                    self.assertEqual(peer.event("quitting"), {"exit_code": 4, "unhandled": False})
                    peer.event("quit", exit_code=4)
                    self.check(peer)
                finally:
                    peer.close()

    def check(self, peer):
        printed = peer.printed()
        for line in WANTED.strip().splitlines():
            self.assertIn(line.strip() + "\n", printed)
        self.assertIn("request GET /a 2 None {'who': 1} ['response', 'start_time', 'url']", printed)
        self.assertNotIn("never printed", printed)
        # Of the clients here nothing is sampled: Weir has counted it.
        self.assertEqual({each["type"] for each in peer.frames[b"S"]}, {"WS", "own"})
        sample = next(each for each in peer.frames[b"S"] if each["type"] == "WS")
        self.assertEqual(
            (sample["name"], sample["ms"], sample["length"], sample["error"], sample["user"]),
            ("frame", 1.5, 3, "CatchResponseError('odd')", 2),
        )
        self.assertIn({"op": "exit_code", "code": 4}, peer.frames[b"J"])
        self.assertEqual(peer.requests[0].url, "http://y/a")
        self.assertIn("GET      /a", printed)
        self.assertIn("1(25.00%) |", printed)


class Failing(unittest.TestCase):
    def test_listeners_and_shapes_that_fail(self):
        text = """
        from locust import *
        @events.init.add_listener
        def bad(environment, **kw): raise KeyError("in init")
        @events.init.add_listener
        def good(environment, **kw): print("still called")
        class U(User): pass
        class S(LoadTestShape):
            n = 0
            def tick(self):
                self.n += 1
                if self.n == 1: return (5, 2.5)
                if self.n == 2: return (5, 1, [U])
                if self.n == 3: return None
                raise ValueError("shapeless")
        """
        with tempfile.TemporaryDirectory() as folder:
            peer = Peer(cwd=folder, env={"WEIR_USERS_AS": "baton"})
            try:
                peer.load(write(folder, "locustfile.py", text))
                self.assertEqual(peer.event("init"), {"failed": True})
                self.assertIn("Uncaught exception in event handler: \nTraceback", peer.printed())
                self.assertIn("still called", peer.printed())
                self.assertEqual(peer.frames[b"P"][0]["kind"], "listener")
                peer.event("shape_start")
                self.assertEqual([peer.event("tick") for _ in range(3)], [[5, 2.5, None], [5, 1, ["U"]], None])
                self.assertIn("shapeless", peer.event("tick")["error"]["text"])
                self.assertTrue(peer.event("quitting")["unhandled"])
            finally:
                peer.close()

    def test_events_do_not_wait_for_each_other(self):
        text = """
        import time
        from locust import *
        @events.test_start.add_listener
        def slow(environment, **kw): time.sleep(4)
        class U(User): pass
        class S(LoadTestShape):
            def tick(self): return (1, 1)
        """
        with tempfile.TemporaryDirectory() as folder:
            peer = Peer(cwd=folder, env={"WEIR_USERS_AS": "baton"})
            try:
                peer.load(write(folder, "locustfile.py", text))
                peer.send(b"N", 1000, {"event": "test_start"})
                begin = time.monotonic()
                self.assertEqual(peer.event("tick"), [1, 1, None])
                self.assertLess(time.monotonic() - begin, 3.5)
                self.assertNotIn(1000, peer.answers)
                peer.until(lambda: 1000 in peer.answers)
            finally:
                peer.close()


if __name__ == "__main__":
    unittest.main()

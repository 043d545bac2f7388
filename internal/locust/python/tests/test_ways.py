"""What can stop everybody: foreign calls that block, loops without end, threads of scripts, too few threads."""

import tempfile
import unittest

from peer import HEAD as FRAME
from peer import Peer, answer, write
from ways import WAYS

HEAD = """
    import ctypes, os, select, threading, time
    from locust import *
    from locust.exception import *
    real_wait = select.select  # waits in the system, as a database driver would
"""


def run(case, text, users, steps, way="baton", peer=Peer, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, "locustfile.py", HEAD + text)
        peer = peer(cwd=folder, env={"WEIR_USERS_AS": way, **options.pop("env", {})}, **options)
        try:
            loaded = peer.load(path)
            case.assertNotIn("error", loaded)
            peer.event("test_start")
            peer.start(*users)
            steps(peer)
        finally:
            peer.close()


class Ending(unittest.TestCase):
    def test_an_answer_before_the_end_is_told(self):
        text = """
    class One(HttpUser):
        host = "http://x"
        @task
        def t(self):
            self.client.get("/")
            print("after")
            time.sleep(60)
            print("too late")
    @events.request.add_listener
    def told(response, **kwargs): print("told", response.status_code)
        """

        class Both(Peer):
            """Answers, and ends the user in the same write."""

            def take(self, kind, number, payload):
                if kind != b"R":
                    return super().take(kind, number, payload)
                reply, user = answer(), payload[:4]
                self.socket.sendall(
                    FRAME.pack(len(reply) + 5, b"A", number) + reply + FRAME.pack(len(user) + 5, b"X", 0) + user
                )

        for way in WAYS:
            with self.subTest(way):
                ended = []

                def steps(peer):
                    peer.until(lambda: peer.ended)
                    ended.append(peer.printed())

                run(self, text, [(1, 0)], steps, way, peer=Both)
                self.assertIn("told 200", ended[0])
                self.assertNotIn("too late", ended[0])


    def test_a_request_held_to_the_end_ends_the_user(self):
        text = """
    class One(HttpUser):
        host = "http://x"
        def on_stop(self): print("stopped")
        @task
        def t(self):
            try:
                self.client.get("/").json()
            except Exception as error:
                print("raised", error)
            print("after")
        """
        held = b'{"error": "the run has ended", "kind": "interrupted"}'
        for way in WAYS:
            with self.subTest(way):
                printed = []

                def steps(peer):
                    peer.until(lambda: peer.ended)
                    printed.append(peer.printed())

                run(self, text, [(1, 0)], steps, way, respond=lambda request: answer(0, b"", "", "", 13, held))
                self.assertIn("stopped", printed[0])
                self.assertNotIn("raised", printed[0])
                self.assertNotIn("after", printed[0])


class Blocking(unittest.TestCase):
    def test_others_go_on_while_one_blocks(self):
        text = """
    class Blocks(User):
        @task
        def t(self):
            real_wait([], [], [], 1.0)
            print("unblocked")
            self.environment.events.request.fire(request_type="x", name="mine", response_time=1, response_length=0)
            real_wait([], [], [], 60)
    class Fine(HttpUser):
        host = "http://x"
        wait_time = constant(0.01)
        @task
        def t(self): self.client.get("/")
        """

        def steps(peer):
            peer.until(lambda: "unblocked" in peer.printed() and peer.frames[b"S"])
            self.assertGreater(len(peer.requests), 5)
            (notice,) = [each for each in peer.frames[b"J"] if each["op"] == "notice"][:1]
            self.assertTrue(notice["file"].endswith("locustfile.py"))
            self.assertIn("blocks here", notice["text"])
            self.assertEqual(peer.frames[b"S"][0]["user"], 1)

        run(self, text, [(1, 0), (2, 1)], steps)

    def test_stolen_fibers_come_back(self):
        text = """
    class Mixed(HttpUser):
        host = "http://x"
        @task
        def t(self):
            for n in range(10):
                real_wait([], [], [], 0.012)
                self.client.get("/a")
            raise StopUser()
        """

        def steps(peer):
            peer.until(lambda: len(peer.ended) == 15, 120)
            self.assertEqual(len(peer.requests), 150)
            self.assertEqual({why for why, _ in peer.ended.values()}, {1})

        run(self, text, [(number, 0) for number in range(1, 16)], steps)

    def test_computing_is_not_blocking(self):
        text = """
    class Computes(User):
        @task
        def t(self):
            end = time.perf_counter() + 0.3
            while time.perf_counter() < end: pass
            print("computed")
            raise StopUser()
        """

        def steps(peer):
            peer.until(lambda: len(peer.ended) == 3)
            self.assertEqual([each for each in peer.frames[b"J"] if each["op"] == "notice"], [])

        run(self, text, [(1, 0), (2, 0), (3, 0)], steps)


class Stuck(unittest.TestCase):
    def test_a_loop_without_end_is_told_with_its_place(self):
        text = """
    class Loops(User):
        @task
        def forever(self):
            while True:
                pass
        """
        for way in WAYS:

            def steps(peer):
                peer.until(lambda: any(each["op"] == "stuck" for each in peer.frames[b"J"]), 120)
                told = [each for each in peer.frames[b"J"] if each["op"] == "stuck"][0]
                self.assertEqual(told["function"], "forever")
                self.assertIn(told["line"], (9, 10, 11))
                self.assertIn("forever", told["traceback"])
                peer.process.kill()

            with self.subTest(way=way):
                run(self, text, [(1, 0)], steps, way)


class Signals(unittest.TestCase):
    def test_programs_that_scripts_start_can_be_ended(self):
        text = """
    import subprocess, sys
    class Starts(User):
        @task
        def t(self):
            child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
            child.stdout.readline()
            child.terminate()
            print("ended with", child.wait(60))
            raise StopUser()
        """

        def steps(peer):
            peer.until(lambda: 1 in peer.ended)
            self.assertIn("ended with -15", peer.printed())
            peer.process.terminate()
            peer.event("ratios")  # it is still there: SIGTERM is Weir's business

        run(self, text, [(1, 0)], steps)


class Threads(unittest.TestCase):
    def test_threads_of_scripts_send_too(self):
        text = """
    class Starts(HttpUser):
        host = "http://x"
        @task
        def t(self):
            threads = [threading.Thread(target=self.client.get, args=(f"/{n}",)) for n in range(4)]
            [each.start() for each in threads]
            while any(each.is_alive() for each in threads): time.sleep(0.01)
            print("joined")
            raise StopUser()
        """
        for way in WAYS:

            def steps(peer):
                peer.until(lambda: 1 in peer.ended)
                self.assertEqual(sorted(each.url for each in peer.requests), [f"http://x/{n}" for n in range(4)])
                self.assertEqual({each.user for each in peer.requests}, {1})

            with self.subTest(way=way):
                run(self, text, [(1, 0)], steps, way)

    def test_too_few_threads(self):
        text = """
    import _thread
    class Few(User):
        wait_time = constant(60)
        @task
        def t(self): pass
    from locust._weir import baton
    plain, left = baton.start_thread, [5]
    def few(*args):
        left[0] -= 1
        if left[0] < 0: raise RuntimeError("can't start new thread")
        return plain(*args)
    @events.test_start.add_listener
    def begin(**kw): baton.start_thread = few
        """

        def steps(peer):
            peer.until(lambda: len(peer.ended) >= 5)
            self.assertEqual({why for why, _ in peer.ended.values()}, {2})
            told = [each["text"] for each in peer.frames[b"J"] if each["op"] == "notice"]
            self.assertEqual(len(told), 1, told)
            self.assertRegex(told[0], r"threads.* \d users run.*greenlet")

        run(self, text, [(number, 0) for number in range(1, 11)], steps)


if __name__ == "__main__":
    unittest.main()

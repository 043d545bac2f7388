"""The stand-in for gevent, inside of users, compared with gevent itself where that is installed: one script for both."""

import tempfile
import unittest

from peer import Peer, write
from ways import WAYS

SCRIPT = """
    import time
    import gevent
    from gevent import Greenlet, GreenletExit, Timeout, event, getcurrent, lock, monkey, pool, queue
    from locust import User, HttpUser, task
    from locust.exception import StopUser
    monkey.patch_all()
    log = []

    def work(n, result=None):
        gevent.sleep(n)
        return result

    def greenlets():
        begin = time.perf_counter()
        made = [gevent.spawn(work, 0.5, n) for n in range(5)]
        gevent.joinall(made, timeout=60)
        assert [g.value for g in made] == list(range(5))
        assert all(g.successful() and g.ready() and g.dead for g in made)
        assert time.perf_counter() - begin < 2
        late = gevent.spawn_later(0.02, work, 0, "late")
        assert late.get(timeout=60) == "late"
        failed = gevent.spawn(lambda: 1 / 0)
        seen = []
        failed.link_exception(lambda g: seen.append(type(g.exception)))
        try:
            failed.get()
            assert False
        except ZeroDivisionError:
            pass
        gevent.sleep(0.01)
        assert seen == [ZeroDivisionError] and not failed.successful()
        slow = gevent.spawn(work, 60)
        gevent.sleep(0)
        slow.kill()
        assert slow.dead and isinstance(slow.value, GreenletExit), slow.value
        never = gevent.spawn(work, 60)
        gevent.killall([never])
        assert never.dead

        class Own(Greenlet):
            def __init__(self, n):
                Greenlet.__init__(self)
                self.n = n
            def _run(self):
                return self.n * 2
        own = Own(4)
        own.start()
        own.join()
        assert own.value == 8
        order = [g.value for g in gevent.iwait([gevent.spawn(work, 0.03, "b"), gevent.spawn(work, 0.01, "a")])]
        assert order == ["a", "b"], order
        assert getcurrent() is not None and getcurrent() is getcurrent()

    def pools():
        p = pool.Pool(2)
        running, most = [0], [0]
        def job(n):
            running[0] += 1
            most[0] = max(most[0], running[0])
            gevent.sleep(0.01)
            running[0] -= 1
            return n * n
        assert p.map(job, range(5)) == [0, 1, 4, 9, 16]
        assert most[0] == 2, most
        assert sorted(p.imap_unordered(job, range(3))) == [0, 1, 4]
        p.spawn(job, 1); p.spawn(job, 2)
        assert len(p) == 2 and p.full()
        p.join()
        assert len(p) == 0
        group = pool.Group()
        [group.spawn(work, 60) for _ in range(3)]
        gevent.sleep(0)
        group.kill()
        assert len(group) == 0

    def locks():
        sem = lock.BoundedSemaphore(1)
        assert sem.acquire() and not sem.acquire(blocking=False) and not sem.acquire(timeout=0.01)
        gevent.spawn_later(0.01, sem.release)
        with sem:
            assert sem.locked()
        try:
            sem.release()
            assert False
        except ValueError:
            pass
        again = lock.RLock()
        with again:
            with again:
                pass
        gate, through = lock.Semaphore(), []
        gate.acquire()
        def pass_by(n):
            gate.wait()
            through.append(n)
        passing = [gevent.spawn(pass_by, n) for n in range(5)]
        gevent.sleep(0.01)
        assert through == [], through
        gate.release()  # one release is for all who only wait, and nothing is taken
        gevent.joinall(passing, timeout=60)
        assert sorted(through) == [0, 1, 2, 3, 4] and gate.counter == 1, through
        gate.acquire()
        mixed = [gevent.spawn(gate.wait), gevent.spawn(gate.acquire), gevent.spawn(gate.wait, 0.05), gevent.spawn(gate.acquire, True, 0.05)]
        gevent.sleep(0.01)
        gate.release()
        gevent.joinall(mixed, timeout=60)
        assert [g.value for g in mixed[:2]] == [1, True] and mixed[3].value is False and gate.counter == 0, [g.value for g in mixed]

        wait = lock.Semaphore(0)
        gevent.spawn_later(0.01, wait.release)
        wait.wait()
        assert wait.counter == 1

    def events():
        e = event.Event()
        assert not e.wait(0.01)
        gevent.spawn_later(0.01, e.set)
        assert e.wait(60) and e.is_set()
        r = event.AsyncResult()
        gevent.spawn_later(0.01, r.set, 5)
        assert r.get(timeout=60) == 5
        bad = event.AsyncResult()
        bad.set_exception(KeyError("x"))
        try:
            bad.get()
            assert False
        except KeyError:
            pass
        never = event.AsyncResult()
        try:
            never.get(timeout=0.01)
            assert False
        except Timeout:
            pass

    def queues():
        q = queue.Queue(maxsize=1)
        got = []
        reader = gevent.spawn(lambda: [got.append(q.get()) for _ in range(3)])
        for n in range(3):
            q.put(n)
        reader.join()
        assert got == [0, 1, 2] and q.empty()
        for error, call in ((queue.Empty, lambda: q.get_nowait()), (queue.Empty, lambda: q.get(timeout=0.01))):
            try:
                call()
                assert False
            except error:
                pass
        q.put(1)
        try:
            q.put_nowait(2)
            assert False
        except queue.Full:
            pass
        last, least = queue.LifoQueue(), queue.PriorityQueue()
        for n in (2, 3, 1):
            last.put(n); least.put(n)
        assert [last.get() for _ in range(3)] == [1, 3, 2] and [least.get() for _ in range(3)] == [1, 2, 3]

    def timeouts():
        begin = time.perf_counter()
        try:
            with Timeout(0.02):
                gevent.sleep(5)
            assert False
        except Timeout as t:
            assert "0.02 seconds" in str(t)
        with Timeout(0.02, False):
            gevent.sleep(5)
        try:
            with Timeout(0.02, ValueError("late")):
                gevent.sleep(5)
            assert False
        except ValueError:
            pass
        with Timeout(5):
            pass
        assert gevent.with_timeout(0.01, gevent.sleep, 5, timeout_value="v") == "v"
        assert time.perf_counter() - begin < 5

    class U(HttpUser):
        host = "http://x"
        @task
        def t(self):
            for check in (greenlets, pools, locks, events, queues, timeouts):
                check()
                print("passed", check.__name__)
            answers = gevent.joinall([gevent.spawn(self.client.get, f"/{n}") for n in range(3)])
            assert all(g.value.status_code == 200 for g in answers)
            child = gevent.spawn(lambda: self.client.get("/child"))
            child.join()
            print("all done")
            raise StopUser()
"""


class Face(unittest.TestCase):
    def test_face_and_gevent(self):
        for way in WAYS:
            with self.subTest(way=way), tempfile.TemporaryDirectory() as folder:
                peer = Peer(cwd=folder, env={"WEIR_USERS_AS": way})
                try:
                    self.assertNotIn("error", peer.load(write(folder, "locustfile.py", SCRIPT)))
                    peer.event("test_start")
                    peer.start((1, 0))
                    peer.until(lambda: 1 in peer.ended)
                    self.assertIn("all done", peer.printed())
                    self.assertEqual(peer.printed().count("passed"), 6)
                    self.assertEqual({request.user for request in peer.requests}, {1})
                    self.assertEqual(len(peer.requests), 4)
                finally:
                    peer.close()

    def test_what_is_missing_says_so(self):
        line = "import gevent\ntry:\n    import gevent.pywsgi\nexcept ModuleNotFoundError as error:\n    print(error)\ngevent.fork()\n"
        with tempfile.TemporaryDirectory() as folder:
            peer = Peer(cwd=folder, env={"WEIR_USERS_AS": "baton"})
            try:
                error = peer.load(write(folder, "locustfile.py", line))["error"]
                self.assertIn("gevent.fork is not among the parts", error["text"])
                self.assertEqual(error["line"], 6)
                self.assertIn("gevent.pywsgi is not among the parts of gevent that Weir stands in for", peer.printed())
            finally:
                peer.close()


if __name__ == "__main__":
    unittest.main()

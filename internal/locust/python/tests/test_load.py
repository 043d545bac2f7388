"""Loading: what is found in files, what is told about it, and every way in which it can go wrong."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import unittest
from unittest import mock

import ways
from peer import Peer, write

ways.inside()

from locust._weir import setup  # noqa: E402
from locust._weir.engine import engine  # noqa: E402
from locust._weir.load import Exit, LoadError, classes, merge, module, paths  # noqa: E402

SIMPLE = "from locust import HttpUser, task\nclass A(HttpUser):\n    @task\n    def t(self): pass\n"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text):
        os.makedirs(os.path.dirname(os.path.join(self.folder, name)), exist_ok=True)
        return write(self.folder, name, text)

    def load(self, *files, argv=None, env=None, **options):
        """(the answer, what was printed)."""
        peer = Peer(cwd=self.folder, env={"WEIR_USERS_AS": "baton", "HOME": self.folder, **(env or {})})
        try:
            loaded = peer.load(*files, argv=argv, **options)
            return loaded, peer.printed()
        finally:
            peer.close()

    def inside(self):
        """Makes the folder the working folder, and undoes what files loaded in this process leave behind."""
        before, path, modules = os.getcwd(), sys.path[:], set(sys.modules)
        os.chdir(self.folder)

        def undo():
            os.chdir(before)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                del sys.modules[name]

        self.addCleanup(undo)


class Files(Case):
    def test_usual_name_lists_folders_packages(self):
        self.write("locustfile.py", SIMPLE)
        self.write("more.py", SIMPLE.replace("class A", "class B"))
        self.write("many/one.py", SIMPLE.replace("class A", "class C"))
        self.write("many/deep/two.py", SIMPLE.replace("class A", "class D"))
        self.write("many/_hidden.py", SIMPLE.replace("class A", "class E"))
        self.write("pack/__init__.py", "")
        self.write("pack/tests.py", SIMPLE.replace("class A", "class F"))
        self.inside()
        cases = {
            "locustfile.py": ["A"],
            "more.py": ["B"],
            "locustfile.py, more.py": ["A", "B"],
            "many": ["C", "D"],
            "pack.tests": ["F"],
            "pack/tests.py,many/one.py": ["C", "F"],
        }
        for names, wanted in cases.items():
            users, _ = merge(paths([names]))
            self.assertEqual(sorted(users), wanted, names)

    def test_two_of_one_name(self):
        self.write("locustfile.py", SIMPLE)
        self.write("more.py", SIMPLE)
        self.write("third.py", "from more import A\n")
        self.inside()
        with self.assertRaises(Exit) as caught:
            merge(paths(["locustfile.py,more.py"]))
        self.assertIn("Duplicate user class names: A is defined in both", caught.exception.text)
        self.assertEqual(list(merge(paths(["more.py,third.py"]))[0]), ["A"])

    def test_siblings_and_what_is_told(self):
        self.write("helper.py", "WEIGHT = 3\n")
        path = self.write(
            "tests/locustfile.py",
            """
            import sibling
            import helper
            from locust import *
            class Base(HttpUser):
                abstract = True
            class A(Base):
                host = "http://a"
                weight = helper.WEIGHT
                @task
                class Nested(TaskSet):
                    @task(3)
                    def x(self): pass
                    @task
                    def y(self): pass
            class F(FastHttpUser):
                fixed_count = 2
                tasks = [sibling.do]
            class Own(User):
                weight = 0
            class S(LoadTestShape):
                use_common_options = True
                def tick(self): return None
            @events.init_command_line_parser.add_listener
            def _(parser):
                parser.add_argument("--mine", default="d", is_secret=True, help="my flag")
            """,
        )
        self.write("tests/sibling.py", "def do(user): pass\n")
        loaded, _ = self.load(path, num_users=7)
        self.assertEqual(
            [
                (each["name"], each["kind"], each["weight"], each["fixed_count"], each["host"])
                for each in loaded["classes"]
            ],
            [("A", "http", 3, 0, "http://a"), ("F", "fasthttp", 1, 2, None)],
        )
        self.assertTrue(loaded["classes"][0]["file"].endswith("tests/locustfile.py"))
        self.assertEqual(loaded["classes"][0]["line"], 7)
        self.assertEqual((loaded["shape"]["name"], loaded["shape"]["use_common_options"]), ("S", True))
        self.assertEqual([each["flags"] for each in loaded["arguments"]], [["--mine"]])
        self.assertEqual(
            (loaded["options"]["mine"], loaded["options"]["num_users"], loaded["secret"]), ("d", 7, ["mine"])
        )
        self.assertEqual(loaded["ratios"]["per_class"]["A"]["tasks"]["Nested"]["tasks"]["x"]["ratio"], 0.75)
        self.assertEqual(loaded["locustfile"], "locustfile.py")

    def test_main_guard_and_locust_as_a_name(self):
        self.write("locust.py", SIMPLE + "if __name__ == '__main__':\n    raise SystemExit('run')\n")
        self.inside()
        self.assertEqual(list(merge(paths(["locust.py"]))[0]), ["A"])


class Wrong(Case):
    def error(self, text):
        path = self.write("locustfile.py", text)
        with self.assertRaises(LoadError) as caught:
            module(path)
        return caught.exception

    def test_errors_have_file_and_line(self):
        self.inside()
        self.enterFinders()
        cases = {
            "import json\n\nimport no_such_module\n": ("No module named 'no_such_module'", 3),
            "x = 1\nclass A(:\n": ("SyntaxError", 2),
            "def f():\n    return 1 / 0\nf()\n": ("ZeroDivisionError: division by zero", 2),
            "import sys\nsys.exit(3)\n": ("sys.exit(3) was called while the file was loaded", 2),
            "\nfrom locust import NoSuchThing\n": ("locust.NoSuchThing is not something Weir knows", 2),
            "import locust\nlocust.nothing\n": ("locust.nothing is not something Weir knows", 2),
            "import locust.contrib.postgres\n": ("locust.contrib.postgres is not part of Weir", 1),
            "from locust.nowhere import x\n": ("locust.nowhere is not part of Weir", 1),
            "from locust import *\n\nclass A(User):\n    @task\n    def run(self): pass\n": (
                "User.run() is a method used internally",
                4,
            ),
            "from locust import *\nclass A(MarkovTaskSet):\n    @transition('b')\n    def a(self): pass\n": (
                "Transition to b from a is invalid",
                2,
            ),
        }
        for text, (wanted, line) in cases.items():
            error = self.error(text)
            self.assertIn(wanted, error.text)
            # A decorator that fails is on its own line from Python 3.10 on, before on that of the function.
            self.assertIn(error.line, (line, line + ("def run" in text)), (text, error.text))
            self.assertTrue(error.file.endswith("locustfile.py"), error.file)

    def test_a_missing_module_says_which_python_runs_the_script(self):
        self.inside()
        self.enterFinders()
        for text, wanted in {
            "import no_such_module.part\n": "%s runs the script and has no no_such_module: " % sys.executable,
            "import locust.contrib.postgres\n": "",
            "1 / 0\n": "",
        }.items():
            hint = self.error(text).hint
            self.assertTrue(hint.startswith(wanted) and bool(hint) == bool(wanted), (text, hint))

    def enterFinders(self):
        """The finder that explains missing modules, as boot installs it."""
        from locust._weir.missing import MissingModules

        finder = MissingModules()
        sys.meta_path.append(finder)
        self.addCleanup(sys.meta_path.remove, finder)

    def test_traceback_begins_in_the_users_file(self):
        self.inside()
        error = self.error("def f():\n    return 1 / 0\nf()\n")
        self.assertNotIn("_weir", error.stack)
        self.assertIn("in f\n", error.stack)

    def test_exits(self):
        self.write("locustfile.py", SIMPLE)
        self.write("none.py", "x = 1\n")
        self.write("charts.py", SIMPLE + "from locust import stats\nstats.PERCENTILES_TO_CHART = [1.2]\n")
        stats = sys.modules["locust.stats"]
        self.addCleanup(setattr, stats, "PERCENTILES_TO_CHART", stats.PERCENTILES_TO_CHART)
        cases = {
            ("-f", "gone.py"): (1, "Could not find 'gone.py'. Ensure your locustfile ends with '.py'"),
            ("-f", "none.py"): (1, "No User class found!"),
            ("Nobody",): (1, "Unknown User(s): Nobody"),
            ("--list",): (0, "Available Users:\n    A\n"),
            ("--help",): (0, "--run-time"),
            ("-V",): (0, "(Python 3."),
            ("--show-task-ratio",): (0, " 100.0      A "),
            ("--show-task-ratio-json",): (0, '"per_class": {'),
            ("--autoquit", "3"): (1, "--autoquit is only meaningful in combination with --autostart"),
            ("--csv-full-history",): (2, "error: '--csv-full-history' requires '--csv'."),
            ("--no-such-flag",): (2, "error: unrecognized arguments: --no-such-flag"),
            ("--config-users", '{"user_class_name": "B"}'): (255, "Error applying user config"),
            ("-f", "charts.py"): (1, "stats.PERCENTILES_TO_CHART parameter need to be float"),
        }
        self.inside()
        self.addCleanup(logging.getLogger("locust").handlers.clear)
        with mock.patch.object(engine, "hub", mock.Mock()), mock.patch.dict(os.environ, HOME=self.folder):
            for argv, (code, wanted) in cases.items():
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                    told = self.answer({"argv": list(argv), "use_config": True})
                self.assertEqual(told, {"exit": code}, (argv, printed.getvalue()))
                self.assertIn(wanted, printed.getvalue())

    def answer(self, question):
        """What boot does with a question, without the interpreter around it."""
        try:
            return setup.answer(question, paths(setup.prepare(question)))[0]
        except Exit as stop:
            sys.stderr.write(stop.text)
            return {"exit": stop.code}
        except SystemExit as stop:
            return {"exit": stop.code or 0}


class Notices(Case):
    def test_what_will_not_do_is_told_with_its_place(self):
        path = self.write(
            "locustfile.py",
            """
            from locust import *
            from locust.env import Environment
            @events.init.add_listener
            def a(environment, **kw):
                environment.web_ui.app.add_url_rule("/x")
            @events.init.add_listener
            def b(environment, **kw):
                if environment.web_ui:
                    environment.web_ui.app.add_url_rule("/x")
            def lib():
                Environment().create_local_runner()
            class A(User):
                @task
                async def t(self): pass
            if __name__ == "__main__":
                Environment().create_master_runner()
            """,
        )
        loaded, _ = self.load(path)
        told = [(each["line"], each["text"].split()[0]) for each in loaded["notices"]]
        self.assertEqual(told, [(6, "environment.web_ui"), (12, "create_local_runner()"), (15, "t")])

    def test_library_use_fails_clearly(self):
        self.inside()
        for text, wanted in {
            "from locust.env import Environment\nEnvironment().create_local_runner()\n": "uses Locust as a library",
            "from locust import main\nmain.main()\n": "starts Locust itself",
        }.items():
            with self.assertRaises(LoadError) as caught:
                module(self.write("locustfile.py", text))
            self.assertIn(wanted, caught.exception.text)


class Legacy(Case):
    def test_task_set_that_is_no_task_set(self):
        self.inside()
        path = self.write("locustfile.py", "from locust import HttpUser\nclass A(HttpUser):\n    task_set = HttpUser\n")
        self.assertEqual(classes(module(path))[0]["A"].tasks, [])

    def test_names_from_before_1_0(self):
        path = self.write(
            "locustfile.py",
            """
            from locust import HttpLocust, TaskSet, task, events, web, main, runners
            class T(TaskSet):
                min_wait = 10
                max_wait = 10
                @task(2)
                def t(self): self.client.get("/t", name=str(self.locust is self.user))
            class W(HttpLocust):
                task_set = T
                host = "http://x"
                min_wait = 5000
                max_wait = 5000
            def ok(request_type, name, response_time, response_length):
                print("ok", name)
            events.request_success += ok
            events.quitting += lambda environment, **kw: print("bye")
            """,
        )
        peer = Peer(cwd=self.folder, env={"WEIR_USERS_AS": "baton"})
        try:
            loaded = peer.load(path)
            self.assertNotIn("error", loaded)
            self.assertEqual([each["name"] for each in loaded["classes"]], ["W"])
            peer.event("test_start")
            peer.start((1, 0))
            peer.until(lambda: len(peer.requests) >= 3)
            self.assertEqual(peer.requests[0].name, "True")
            peer.event("quitting")
            self.assertIn("ok True", peer.printed())
            self.assertIn("bye", peer.printed())
            notices = [each for each in peer.frames[b"J"] if each["op"] == "notice"]
            self.assertEqual([each["line"] for each in notices], [2, 8, 15], notices)
        finally:
            peer.close()


if __name__ == "__main__":
    unittest.main()

"""The command line: flags, variables, settings files and their order; texts and exit codes as Locust's."""

import contextlib
import io
import os
import tempfile
import unittest
from unittest import mock

import ways

ways.inside()

from locust import argument_parser, events  # noqa: E402
from locust._weir import config  # noqa: E402
from locust.util.timespan import parse_timespan  # noqa: E402


def parse(*args, **variables):
    with mock.patch.dict(os.environ, variables, clear=False):
        return argument_parser.get_parser().parse_args(list(args))


def refused(*args, **variables):
    """What is printed, and the exit code, when a command line is wrong."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            parse(*args, **variables)
        except SystemExit as stop:
            return errors.getvalue(), stop.code
    raise AssertionError("accepted")


class Flags(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        before = os.getcwd()
        os.chdir(self.folder.name)
        self.addCleanup(os.chdir, before)
        home = mock.patch.dict(os.environ, {"HOME": self.folder.name})
        home.start()
        self.addCleanup(home.stop)

    def write(self, name, text):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)

    def test_defaults_are_locusts(self):
        options = parse()
        wanted = {
            "locustfile": "locustfile.py",
            "num_users": None,
            "spawn_rate": None,
            "run_time": None,
            "headless": False,
            "web_port": 8089,
            "autoquit": -1,
            "stop_timeout": 0,
            "exit_code_on_error": 1,
            "loglevel": "INFO",
            "tags": None,
            "user_classes": [],
            "master_port": 5557,
            "expect_workers": 1,
        }
        for name, value in wanted.items():
            self.assertEqual(getattr(options, name), value, name)

    def test_values(self):
        options = parse(
            "-u", "10", "-r", "2.5", "-t", "1h20m", "-s", "10s", "-T", "a", "b", "-L", "debug", "MyUser", "--csv=x/y"
        )
        self.assertEqual(options.num_users, 10)
        self.assertEqual(options.spawn_rate, 2.5)
        self.assertEqual(options.run_time, 4800)
        self.assertEqual(options.stop_timeout, 10)
        self.assertEqual(options.tags, ["a", "b"])
        self.assertEqual(options.loglevel, "DEBUG")
        self.assertEqual(options.user_classes, ["MyUser"])
        self.assertEqual(options.csv_prefix, "x/y")

    def test_order_of_sources(self):
        self.write(
            "pyproject.toml",
            '[tool.locust]\nusers = 1\nspawn-rate = 1\nrun-time = "1s"\nhost = "http://toml"\n[tool.x]\nusers = 9\n',
        )
        self.write("locust.conf", "users = 2\nspawn-rate = 2\nrun-time = 2s\n")
        self.write("more.conf", "users = 3\nspawn-rate: 3\n# a comment\n")
        options = parse("--config", "more.conf", "-u", "5", LOCUST_SPAWN_RATE="4")
        self.assertEqual(
            (options.num_users, options.spawn_rate, options.run_time, options.host), (5, 4.0, 1, "http://toml")
        )

    def test_lists_and_switches_in_files(self):
        self.write("locust.conf", "headless = true\ntags = [Critical, Normal]\nonly-summary\nreset-stats = false\n")
        options = parse()
        self.assertEqual((options.headless, options.only_summary, options.reset_stats), (True, True, False))
        self.assertEqual(options.tags, ["Critical", "Normal"])

    def test_unknown_setting_is_refused(self):
        self.write("locust.conf", "usres = 3\n")
        text, code = refused()
        self.assertEqual(code, 2)
        self.assertIn("unrecognized arguments: --usres=3", text)

    def test_refusals(self):
        cases = {
            ("--hedless",): "Did you mean '--headless'?",
            ("-t", "3x"): "Invalid time span format. Valid formats: 20, 20s, 3m, 2h, 1h20m, 3h30m10s, etc.",
            ("-r", "0"): "must be > 0",
            ("-r", "inf"): "must be a finite number",
            ("--expect-workers", "0"): "Invalid --expect-workers argument (0), must be a positive number",
            ("--slave",): "The --slave parameter has been renamed --worker",
            ("--web-auth", "a:b"): "The --web-auth parameters has been replaced with --web-login",
            ("--legacy-ui",): "--legacy-ui is no longer supported",
            ("--config-users", '{"host": "x"}'): "The user config must specify a user_class_name",
            ("--config-users", "{"): "must be a valid JSON string or file",
        }
        for args, wanted in cases.items():
            text, code = refused(*args)
            self.assertEqual(code, 2, args)
            self.assertIn(wanted, text)

    def test_variable_for_a_switch(self):
        self.assertTrue(parse(LOCUST_HEADLESS="1").headless)
        self.assertFalse(parse(LOCUST_HEADLESS="no").headless)
        self.assertEqual(refused(LOCUST_HEADLESS="perhaps")[1], 2)

    def test_config_users(self):
        self.write("users.json", '[{"user_class_name": "A", "host": "h"}]')
        options = parse("--config-users", '{"user_class_name": "B", "weight": 3}', "users.json")
        self.assertEqual(
            [[entry["user_class_name"] for entry in each] for each in options.config_users], [["B"], ["A"]]
        )

    def test_flags_of_scripts(self):
        def add(parser):
            parser.add_argument("--my-secret", env_var="MY_SECRET", is_secret=True, default="")
            parser.add_argument("--mode", choices=["x", "y"], default="x", include_in_web_ui=False)
            parser.add_argument("--needed", required=True)
            group = parser.add_argument_group("mine")
            group.add_argument("--grouped", type=int, default=1, is_multiple=True)

        events.init_command_line_parser.add_listener(add)
        self.addCleanup(events.init_command_line_parser.remove_listener, add)
        self.write("locust.conf", "needed = from the file\n")
        options = parse("--grouped", "4", MY_SECRET="s3cret")
        self.assertEqual(
            (options.my_secret, options.mode, options.needed, options.grouped), ("s3cret", "x", "from the file", 4)
        )
        parser = argument_parser.get_parser()
        self.assertIn("my_secret", parser.secret_args_included_in_web_ui)
        self.assertNotIn("mode", parser.args_included_in_web_ui)
        self.assertIn("grouped", parser.multiple_args_included_in_web_ui)
        own = argument_parser.ui_extra_args_dict([])
        self.assertEqual(sorted(own), ["grouped", "my_secret", "needed"])

    def test_help_of_weirs_own_flags(self):
        launch = argument_parser.Launch
        with mock.patch.object(launch, "flags", [{"flags": ["--users-as"], "metavar": "WAY", "help": "100% of them"}]):
            self.assertEqual(parse("--user", "2").num_users, 2)
            self.assertIn("100% of them", argument_parser.get_parser().format_help())

    def test_what_weir_took_from_the_script_is_given_back(self):
        from locust._weir.setup import reclaim

        parser = argument_parser.get_empty_argument_parser()
        parser.add_argument("--timeout")
        own = [
            {"at": 1, "flag": "--seed", "tokens": ["--seed", "3"]},
            {"at": 4, "flag": "--timeout", "tokens": ["--timeout", "5"]},
        ]
        self.assertEqual(
            reclaim(["-u", "x", "User"], own, parser), (["-u", "x", "--timeout", "5", "User"], ["--timeout"])
        )


class Small(unittest.TestCase):
    def test_timespans(self):
        for text, seconds in {"20": 20, "20s": 20, "3m": 180, "2h": 7200, "1h20m": 4800, "3h30m10s": 12610}.items():
            self.assertEqual(parse_timespan(text), seconds)
        for text in ("", "1x", "1m1h", "s", "-1", "1.5s"):
            with self.assertRaises(ValueError):
                parse_timespan(text)

    def test_small_toml(self):
        text = '[tool.locust]\nusers = 3\nhost = "http://x"\ntags = ["a", "b"]\n# no\n[tool.other]\nusers = 4\n'
        self.assertEqual(config._small_toml(text), {"users": "3", "host": "http://x", "tags": ["a", "b"]})


if __name__ == "__main__":
    unittest.main()

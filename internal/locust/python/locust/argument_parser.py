"""The command line: Locust's flags, their variables and settings files, and those that scripts add."""

import argparse
import json
import math
import os
import sys

import locust

from ._weir import config
from ._weir.flags import add_flags
from .util.timespan import parse_timespan

version = locust.__version__

DEFAULT_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# What a script may say about a flag for Locust's web page. Weir keeps it: is_secret flags are masked in reports.
UI = {"include_in_web_ui": True, "is_secret": False, "is_required": False, "is_multiple": False}


class LocustArgumentParser(argparse.ArgumentParser):
    """argparse with variables (env_var=) and settings files. The order: command line, variables, files, defaults."""

    def __init__(self, *args, default_config_files=(), use_config=True, **kwargs):
        self._names = {}  # variable → action
        self._config_flag = None
        self._default_config_files = list(default_config_files) if use_config else []
        self._use_variables = use_config
        super().__init__(*args, **kwargs)

    def error(self, message):
        """Ends with 2 and says which flag was perhaps meant."""
        if "unrecognized arguments:" in message:
            import difflib

            bad = message.split("unrecognized arguments:")[1].strip().split()[0]
            known = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(bad, known, n=1)
            if near:
                message += f"\nDid you mean '{near[0]}'?"
        self.exit(2, f"{self.prog}: error: {message}\n")

    def add_argument(self, *args, **kwargs):
        """As argparse's, with env_var and what is said about the web page."""
        return self._adorn(super().add_argument, args, kwargs)

    def add_argument_group(self, *args, **kwargs):
        group = super().add_argument_group(*args, **kwargs)
        plain = group.add_argument
        group.add_argument = lambda *a, **k: self._adorn(plain, a, k)
        return group

    def _adorn(self, add, args, kwargs):
        ui = {key: kwargs.pop(key, default) for key, default in UI.items()}
        variable = kwargs.pop("env_var", None)
        is_config = kwargs.pop("is_config_file_arg", kwargs.pop("is_config_file", False))
        action = add(*args, **kwargs)
        for key, value in ui.items():
            setattr(action, key, value)
        action.env_var = variable
        if variable:
            self._names[variable] = action
        if is_config:
            self._config_flag = action
        return action

    add = add_argument  # ConfigArgParse's short names, which some scripts use
    add_arg = add_argument

    def format_help(self):
        """The help, with Weir's own flags last.

        They are added here only: Weir takes them off the command line before, and they must not make an abbreviation of
        one of Locust's flags ambiguous.
        """
        flags, Launch.flags = Launch.flags, ()
        if flags:
            group = super().add_argument_group("Weir's own options (not in Locust)")
            for flag in flags:
                if not any(name in self._option_string_actions for name in flag["flags"]):
                    takes = {"metavar": flag["metavar"]} if flag.get("metavar") else {"action": "store_true"}
                    text = (flag.get("help") or "").replace("%", "%%")
                    group.add_argument(*flag["flags"], dest="weir_" + flag["flags"][0].strip("-"), help=text, **takes)
        return super().format_help()

    def parse_known_args(self, args=None, namespace=None):
        args = list(sys.argv[1:] if args is None else args)
        namespace = argparse.Namespace() if namespace is None else namespace
        extra, given = [], set()
        if self._use_variables:
            for variable, action in self._names.items():
                value = os.environ.get(variable)
                if value is None or (value == "" and action.nargs):
                    continue
                if action.nargs or isinstance(action, argparse._AppendAction):
                    value = config.as_list(value)
                self._preset(namespace, action, variable, value)
                given.add(action.dest)
        for path in self._files(args):
            try:
                settings = config.read(path)
            except (OSError, config.ConfigError) as error:
                self.error(str(error))
            for key, value in settings.items():
                action = self._option_string_actions.get("--" + key)
                if action is None:
                    extra += [f"--{key}={each}" for each in (value if isinstance(value, list) else [value])]
                elif action.dest not in given:
                    self._preset(namespace, action, key, value)
                    given.add(action.dest)
        required = [action for action in self._actions if action.required and action.dest in given]
        for action in required:
            action.required = False
        try:
            namespace, rest = super().parse_known_args(args, namespace)
        finally:
            for action in required:
                action.required = True
        return namespace, rest + extra

    def _files(self, args):
        files = config.default_files(self._default_config_files)
        if self._config_flag is not None and self._use_variables:
            finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
            finder.add_argument(*self._config_flag.option_strings, dest="config")
            named = finder.parse_known_args(args)[0].config
            if named:
                if not os.path.isfile(os.path.expanduser(named)):
                    self.error(f"Unable to open config file: {named}. Error: No such file or directory")
                files.insert(0, os.path.expanduser(named))
        return files

    def _preset(self, namespace, action, name, value):
        """Gives the namespace what a variable or file says, as if it stood on the command line before everything."""
        if action.nargs == 0:
            if not isinstance(value, str) or value.lower() not in YES + NO:
                self.error(
                    f"Unexpected value for {name}: '{value}'. Expecting 'true', 'false', 'yes', 'no', 'on', 'off', '1' or '0'"
                )
            if value.lower() in NO:
                setattr(namespace, action.dest, action.default)
                return
            texts = []
        elif isinstance(value, list):
            if not (action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction)):
                self.error(
                    f"{name} can't be set to a list '{value}' unless its action type is changed to 'append' or nargs is set"
                    " to '*', '+', or > 1"
                )
            texts = value
        else:
            texts = [value]
        try:
            if isinstance(action, argparse._AppendAction) and not action.nargs:
                for text in texts:
                    action(self, namespace, self._get_values(action, [text]), None)
            else:
                action(self, namespace, self._get_values(action, texts), None)
        except argparse.ArgumentError as error:
            self.error(str(error))

    def _ui(self, mark):
        return {
            action.dest: action
            for action in self._actions
            if getattr(action, "include_in_web_ui", False) and getattr(action, mark, False)
        }

    @property
    def args_included_in_web_ui(self):
        return self._ui("include_in_web_ui")

    @property
    def secret_args_included_in_web_ui(self):
        return self._ui("is_secret")

    @property
    def required_args_included_in_web_ui(self):
        return self._ui("is_required")

    @property
    def multiple_args_included_in_web_ui(self):
        return self._ui("is_multiple")


def timespan(time_str):
    """The type of --run-time and --stop-timeout."""
    try:
        return parse_timespan(time_str)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive_integer(string):
    """The type of --expect-workers."""
    try:
        value = int(string)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value: '{string}'") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"Invalid --expect-workers argument ({value}), must be a positive number")
    return value


def gt_zero(kind):
    """The type of numbers that must be above zero."""

    def checker(value):
        number = kind(value)
        if not math.isfinite(number):
            raise argparse.ArgumentTypeError("must be a finite number")
        if number <= 0:
            raise argparse.ArgumentTypeError("must be > 0")
        return number

    return checker


def json_user_config(string):
    """The type of --config-users: JSON, or a .json file, each entry with a user_class_name."""
    try:
        if string.endswith(".json"):
            with open(string, encoding="utf-8") as file:
                entries = json.load(file)
        else:
            entries = json.loads(string)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(
            f"The --config-users argument must be a valid JSON string or file: {error}"
        ) from None
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    entries = entries if isinstance(entries, list) else [entries]
    for entry in entries:
        if "user_class_name" not in entry:
            raise argparse.ArgumentTypeError("The user config must specify a user_class_name")
    return entries


class Launch:
    """How the program was started: set once by Weir, before the first parser is made."""

    prog = "weir locust"
    version_text = ""
    flags = ()
    use_config = True


def get_empty_argument_parser(add_help=True, default_config_files=DEFAULT_CONFIG_FILES):
    """A parser of -f and --config only."""
    parser = LocustArgumentParser(
        prog=Launch.prog,
        default_config_files=default_config_files,
        use_config=Launch.use_config,
        add_help=add_help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=argparse.SUPPRESS,
        description=f"Usage: {Launch.prog} [options] [UserClass ...]",
        epilog=f"""Examples:

    {Launch.prog} -f my_test.py -H https://www.example.com

    {Launch.prog} --headless -u 100 -t 20m --processes 4 MyHttpUser AnotherUser

    {Launch.prog} --headless -u 100 -r 10 -t 50 --print-stats --html "test_report_{{u}}_{{r}}_{{t}}.html"
    (The above run would generate an html file with the name "test_report_100_10_50.html")

docs/locust.md says what works, what differs and what is missing.""",
    )
    parser.add_argument(
        "-f",
        "--locustfile",
        metavar="<filename>",
        default="locustfile.py",
        help="The Python file that contains the test, e.g. 'my_test.py'. Several, separated by commas, a folder, a package or"
        " a URL work too. Default: locustfile.py",
        env_var="LOCUST_LOCUSTFILE",
    )
    parser.add_argument("--config", is_config_file_arg=True, help="A file with more settings", metavar="<filename>")
    return parser


def get_parser(default_config_files=DEFAULT_CONFIG_FILES):
    """The parser of the whole command line, the scripts' own flags among it."""
    parser = get_empty_argument_parser(add_help=True, default_config_files=default_config_files)
    text = Launch.version_text or f"locust {version} from {os.path.dirname(__file__)}"
    add_flags(parser, sys.modules[__name__], f"{text} (Python {sys.version.split()[0]})")
    locust.events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_options(args=None):
    """As get_parser().parse_args, with a warning that it will go."""
    print("Warning: This function is deprecated and may be removed in a future version")
    parser = get_parser()
    options = parser.parse_args(args=args)
    if options.stats_history_enabled and options.csv_prefix is None:
        parser.error("'--csv-full-history' requires '--csv'.")
    return options


def default_args_dict():
    """The defaults of all flags but the scripts' own."""
    parser = get_empty_argument_parser(default_config_files=())
    parser._use_variables = False
    add_flags(parser, sys.modules[__name__], "")
    return vars(parser.parse_args([]))


def ui_extra_args_dict(args=None):
    """The scripts' own flags and what they say for a web page."""
    own = default_args_dict()
    parser = get_parser()
    shown = parser.args_included_in_web_ui
    return {
        dest: {
            "default_value": value,
            "is_secret": shown[dest].is_secret,
            "is_required": shown[dest].is_required,
            "help_text": shown[dest].help,
            "is_multiple": shown[dest].is_multiple,
            "choices": shown[dest].choices,
        }
        for dest, value in vars(parser.parse_args(args or [])).items()
        if dest not in own and dest in shown
    }

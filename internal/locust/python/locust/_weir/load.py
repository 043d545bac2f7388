"""Loading locustfiles: which files, their modules, and what in them counts."""

import ast
import atexit
import importlib.machinery
import importlib.util
import os
import sys
import traceback

from .report import origin


class LoadError(Exception):
    """A file could not be loaded. text says what happened, file and line where, stack the whole, hint what to do."""

    def __init__(self, text, file="", line=0, stack="", hint=""):
        super().__init__(text)
        self.text, self.file, self.line, self.stack, self.hint = text, file, line, stack, hint


class Exit(Exception):
    """The program is to end with this code; what there is to say has been printed."""

    def __init__(self, code, text=""):
        super().__init__(text)
        self.code, self.text = code, text


def paths(names):
    """The files that -f names: files, folders, packages, addresses, separated by commas."""
    found = []
    for name in names:
        for part in name.split(","):
            found += _paths(part.strip())
    return found


def _paths(name):
    from locust.util.directory import get_abspaths_in
    from locust.util.url import is_url

    if is_url(name):
        return [_download(name)]
    if not os.path.exists(name) and not name.endswith(".py"):
        package = name.replace(".", os.sep)
        if os.path.isdir(package):
            name = package
        elif os.path.isfile(package + ".py"):
            name = package + ".py"
    if os.path.isdir(name):
        files = sorted(get_abspaths_in(name, extension=".py"))
        if not files:
            raise Exit(1, f"Could not find any locustfiles in directory '{name}'")
        return files
    if os.path.exists(name) and name.endswith(".py"):
        return [os.path.abspath(name)]
    raise Exit(
        1,
        f"Could not find '{name}'. Ensure your locustfile ends with '.py' or is a directory with locustfiles. See --help for"
        " available options.\n",
    )


def _download(url):
    """Fetches a locustfile to a temporary file that is removed at the end."""
    import tempfile
    import urllib.request
    from urllib.parse import urlparse

    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode("utf-8")
    except (OSError, ValueError) as error:
        raise Exit(1, f"Failed to get locustfile from: {url}. Exception: {error}") from None
    try:
        ast.parse(text)
    except SyntaxError:
        raise Exit(
            1, f"Failed to get locustfile from: {url}. Response was not valid python code: '{text[:100]}'"
        ) from None
    folder = tempfile.mkdtemp(prefix="weir-locustfile-")
    path = os.path.join(folder, urlparse(url).path.split("/")[-1] or "locustfile.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)

    def remove():
        os.remove(path)
        os.rmdir(folder)

    atexit.register(remove)
    return path


def module(path):
    """Imports one file as Locust does: the working folder and the file's own folder on sys.path while it is imported."""
    sys.path.insert(0, os.getcwd())
    folder, name = os.path.split(path)
    place = sys.path.index(folder) if folder in sys.path else None
    if place is not None:
        del sys.path[place]
    sys.path.insert(0, folder)
    name = os.path.splitext(name)[0]
    if name == "locust":
        name = "locustfile"
    loader = importlib.machinery.SourceFileLoader(name, path)
    imported = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path, loader=loader))
    sys.modules[name] = imported
    try:
        loader.exec_module(imported)
    except SystemExit as error:
        file, line = origin(error)
        raise LoadError(
            f"sys.exit({'' if error.code is None else error.code}) was called while the file was loaded", file, line, ""
        ) from None
    except BaseException as error:
        file, line = origin(error)
        last = "".join(traceback.format_exception_only(type(error), error)).strip()
        raise LoadError(last, file or path, line, _stack(error), _advice(error)) from None
    if place is None:
        sys.path.remove(folder)
    return imported


def _advice(error):
    """What to do about a module that this Python has not: it is often in a virtual environment that is not active."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name in ("", "locust", "gevent"):
        return ""
    return (
        f"{sys.executable} runs the script and has no {name}: install it there, activate the virtual environment that has it,"
        " or name its interpreter with --python"
    )


def _stack(error):
    """The traceback from the user's own file on."""
    own = os.path.dirname(os.path.abspath(__file__))
    entries = traceback.extract_tb(error.__traceback__)
    first = next(
        (n for n, each in enumerate(entries) if not each.filename.startswith(own) and "importlib" not in each.filename),
        len(entries),  # a SyntaxError tells its place itself
    )
    lines = traceback.format_list(entries[first:])
    if lines:
        lines.insert(0, "Traceback (most recent call last):\n")
    return "".join(lines + traceback.format_exception_only(type(error), error))


def classes(imported):
    """The user classes and shapes of a module: ({name: class}, [instances])."""
    from locust.shape import LoadTestShape
    from locust.user.users import User

    users, shapes = {}, []
    for name, value in vars(imported).items():
        if not isinstance(value, type):
            continue
        if issubclass(value, User) and value.abstract is False:
            users[name] = value
        elif issubclass(value, LoadTestShape) and not getattr(value, "abstract", True):
            try:
                shapes.append(value())
            except Exception as error:
                file, line = origin(error)
                raise LoadError(f"{type(error).__name__}: {error}", file, line, _stack(error)) from None
    return users, shapes


def file_of(what):
    """The file in which a class is written."""
    return getattr(sys.modules.get(what.__module__), "__file__", None) or ""


def merge(files):
    """Loads all files: (users by name, shapes by name). Two different things of one name are refused."""
    users, shapes = {}, {}
    for path in files:
        found, forms = classes(module(path))
        for form in forms:
            name = type(form).__name__
            if name in shapes and file_of(type(shapes[name])) != file_of(type(form)):
                raise Exit(1, f"Duplicate shape classes: {name}\n")
            shapes.setdefault(name, form)
        for name, user in found.items():
            if name in users:
                before, now = file_of(users[name]), file_of(user)
                if before != now:
                    raise Exit(1, f"Duplicate user class names: {name} is defined in both {before} and {now}\n")
            users.setdefault(name, user)
    return users, shapes

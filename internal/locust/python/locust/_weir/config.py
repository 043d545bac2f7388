"""Settings from files and the environment: pyproject.toml, locust.conf and variables, as ConfigArgParse reads them for Locust."""

import json
import os
import re

LINE = re.compile(
    r"^(?P<key>[^:=;#\s]+)\s*"
    r"(?:(?P<equal>[:=\s])\s*(['\"]?)(?P<value>.+?)?\3)?"
    r"\s*(?:\s[;#]\s*.*?\s*)?$"
)


class ConfigError(Exception):
    """A settings file cannot be understood. The text names file and line."""


def read(path):
    """The settings of a file: names to texts or lists of texts. A .toml file counts by its [tool.locust] only."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".toml"):
        return _toml(text, path)
    settings = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;[" or line.startswith("---"):
            continue
        match = LINE.match(line)
        if not match:
            raise ConfigError(f"Unexpected line {number - 1} in {path}: {line}")
        value, equal = match.group("value"), match.group("equal")
        if value is None:
            value = "" if equal is not None and equal != " " else "true"
        settings[match.group("key").lstrip("-")] = as_list(value)
    return settings


def as_list(value):
    """["a", "b"] or [a, b] as a list, any other text as it is."""
    if not (value.startswith("[") and value.endswith("]")):
        return value
    try:
        return [each if isinstance(each, str) else json.dumps(each) for each in json.loads(value)]
    except ValueError:
        return [each.strip() for each in value[1:-1].split(",")]


def _toml(text, path):
    try:
        import tomllib
    except ImportError:
        return _small_toml(text)
    try:
        table = tomllib.loads(text).get("tool", {}).get("locust", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"Couldn't parse TOML file: {error}") from None
    return {
        key: [str(each) for each in value] if isinstance(value, list) else str(value)
        for key, value in table.items()
        if value is not None
    }


def _small_toml(text):
    """[tool.locust] of a TOML file for Pythons without tomllib (before 3.11): one setting a line."""
    settings, inside = {}, False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line.replace(" ", "").startswith("[tool.locust]")
        elif inside and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            value = value.strip()
            if value[:1] in "\"'" and value.endswith(value[0]) and len(value) > 1:
                value = value[1:-1]
            elif value.startswith("["):
                value = [each.strip().strip("\"'") for each in value.strip("[]").split(",") if each.strip()]
            settings[key.strip().strip("\"'")] = value
    return settings


def default_files(names):
    """Those of the usual files that exist, the most important first."""
    paths = [os.path.expanduser(name) for name in names]
    return [path for path in reversed(paths) if os.path.isfile(path)]

"""What is in the files and will not do what it does in Locust: said when they are loaded, with file and line."""

import ast
import functools

CALLS = {
    "create_local_runner": "uses Locust as a library; Weir runs the test itself, the call would fail",
    "create_master_runner": "uses Locust as a library; Weir runs the test itself, the call would fail",
    "create_worker_runner": "uses Locust as a library; Weir runs the test itself, the call would fail",
    "create_web_ui": "makes Locust's page; Weir's own page is not extended by scripts, the call would fail",
    "spawn_users": "decides itself which users start; in Weir runner.start does that, the call would fail",
    "stop_users": "decides itself which users stop; in Weir runner.start does that, the call would fail",
}


class Finder(ast.NodeVisitor):
    """Collects the places in one file."""

    def __init__(self, path):
        self.path = path
        self.found = []
        self.guards = 0
        self.told = set()

    def say(self, node, text):
        if text not in self.told:  # once for each file is enough
            self.told.add(text)
            self.found.append({"text": text, "file": self.path, "line": node.lineno})

    def visit_If(self, node):
        if _is_main(node.test):
            return  # not run
        guard = any(isinstance(each, ast.Attribute) and each.attr == "web_ui" for each in ast.walk(node.test))
        guard = guard or any(isinstance(each, ast.Name) and each.id == "web_ui" for each in ast.walk(node.test))
        self.guards += guard
        self.generic_visit(node)
        self.guards -= guard

    def visit_Attribute(self, node):
        inner = node.value
        if isinstance(inner, ast.Attribute) and inner.attr == "web_ui" and not self.guards:
            self.say(
                node,
                f"environment.web_ui is None in Weir, so web_ui.{node.attr} fails here: guard it with `if environment.web_ui:`",
            )
        self.generic_visit(node)

    def visit_Call(self, node):
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in CALLS:
                self.say(node, f"{function.attr}() {CALLS[function.attr]}")
            if function.attr == "main" and isinstance(function.value, (ast.Name, ast.Attribute)):
                owner = function.value
                name = owner.id if isinstance(owner, ast.Name) else owner.attr
                if name == "main":
                    self.say(node, "main.main() starts Locust itself; in Weir the call would fail")
        self.generic_visit(node)

    def visit_ClassDef(self, node):
        for base in node.bases:
            name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
            if name in ("LocalRunner", "MasterRunner", "WorkerRunner", "Runner", "UsersDispatcher"):
                self.say(node, f"class {node.name} is a {name} of its own; Weir does not use it")
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node):
        for decorator in node.decorator_list:
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            if getattr(function, "id", getattr(function, "attr", "")) == "task":
                self.say(node, f"{node.name} is an async task: it is called and never awaited, in Locust too")
        self.generic_visit(node)


def _is_main(test):
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and any(isinstance(each, ast.Constant) and each.value == "__main__" for each in test.comparators)
    )


def tree_of(path):
    """A file taken apart; nothing in it where that cannot be done."""
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path)
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def notices(files):
    """The places in all files."""
    found = []
    for path in files:
        finder = Finder(path)
        finder.visit(tree_of(path))
        found += finder.found
    return found


@functools.lru_cache(maxsize=None)
def lines(path):
    """The lines of the classes of a file, by their qualified names."""
    found = {}

    def walk(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = node.lineno
                walk(node.body, prefix + node.name + ".")

    walk(tree_of(path).body, "")
    return found

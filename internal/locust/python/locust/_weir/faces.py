"""Stand-ins for other packages, in the folder faces beside this package.

gevent goes before a real one, because a real one would wait in a loop of its own; not when users are held by gevent itself.
The others come last: only when nothing else of that name can be imported.
"""

import importlib.util
import os
import sys

FACES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "faces")


class Faces:
    """Finds the packages it was given in the folder of faces."""

    def __init__(self, names):
        self.names = frozenset(names)

    def find_spec(self, fullname, path=None, target=None):
        name = fullname.partition(".")[0]
        if name not in self.names:
            return None
        place = os.path.join(FACES, *fullname.split("."))
        package = os.path.join(place, "__init__.py")
        if os.path.isfile(package):
            return importlib.util.spec_from_file_location(fullname, package, submodule_search_locations=[place])
        if os.path.isfile(place + ".py"):
            return importlib.util.spec_from_file_location(fullname, place + ".py")
        if name == "gevent":
            raise ModuleNotFoundError(
                f"{fullname} is not among the parts of gevent that Weir stands in for. Install gevent in this Python and say"
                " --users-as=gevent: then gevent itself holds the users.",
                name=fullname,
            )
        return None


def install(gevent_is_real):
    """Puts the finders in their places."""
    from .missing import MissingModules

    if not gevent_is_real:
        sys.meta_path.insert(0, Faces(["gevent"]))
    names = [name for name in os.listdir(FACES) if name != "gevent" and os.path.isdir(os.path.join(FACES, name))]
    sys.meta_path.append(Faces(names))
    sys.meta_path.append(MissingModules())

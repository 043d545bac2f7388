"""Where Weir starts the interpreter. This folder is first on sys.path, so that `import locust` finds the package beside it.

Subtle: the package is put into sys.modules before its own code has run, because boot must first choose how users are held,
and what the package imports depends on that choice. boot runs the package's code then.
"""

import importlib.util
import os
import sys

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locust")
spec = importlib.util.spec_from_file_location(
    "locust", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
)
package = importlib.util.module_from_spec(spec)
sys.modules["locust"] = package

from locust._weir.boot import main  # noqa: E402  (the lines above come first)

main(lambda: spec.loader.exec_module(package))

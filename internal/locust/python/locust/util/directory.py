"""Files in a folder."""

import os


def get_abspaths_in(path, extension=None):
    """Every file under path with that ending, those whose name begins with _ left out."""
    return [
        os.path.abspath(os.path.join(root, name))
        for root, _, names in os.walk(path)
        for name in names
        if (extension is None or name.endswith(extension)) and not name.startswith("_")
    ]

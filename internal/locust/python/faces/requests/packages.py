"""requests.packages.urllib3: another way to urllib3."""

import sys

import urllib3

for _name in list(sys.modules):
    if _name == "urllib3" or _name.startswith("urllib3."):
        sys.modules["requests.packages." + _name] = sys.modules[_name]

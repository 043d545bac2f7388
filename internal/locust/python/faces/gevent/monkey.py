"""patch_all and its like: nothing is left to patch. time.sleep waits as it should already, requests are Weir's."""


def patch_all(*args, **kwargs):
    """Does nothing."""
    return True


patch_socket = patch_ssl = patch_time = patch_thread = patch_os = patch_select = patch_subprocess = patch_all
patch_dns = patch_queue = patch_builtins = patch_signal = patch_sys = patch_all


def is_module_patched(name):
    """Whether a module waits as greenlets do: time does."""
    return name == "time"


def is_anything_patched():
    """Whether some module does."""
    return True


def get_original(module, names):
    """The functions as Python has them."""
    import importlib

    from locust._weir.fibers import real_sleep

    found = importlib.import_module(module)

    def one(name):
        return real_sleep if (module, name) == ("time", "sleep") else getattr(found, name)

    return one(names) if isinstance(names, str) else [one(name) for name in names]

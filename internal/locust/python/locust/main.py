"""Only for scripts that import it: Weir is started as a program, not by a script."""

from locust import __version__

version = __version__


def main():
    """Refused: a script that starts Locust itself cannot run inside of Weir."""
    from ._weir.report import caller

    file, line = caller()
    raise NotImplementedError(
        f"{file}:{line} starts Locust itself (locust.main.main). In Weir it is the other way round: leave the call out (an"
        ' `if __name__ == "__main__":` block is not run anyway) and start `weir run` with this file, or with `-f` and several.'
    )

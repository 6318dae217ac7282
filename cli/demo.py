"""`ttamer demo`: the whole pipeline on embedded data."""


def run() -> None:
    """Run the whole pipeline on embedded data, each step as a command to type.

    Example: ttamer demo
    """

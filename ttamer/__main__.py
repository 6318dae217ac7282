"""The `ttamer` command, also as `python -m ttamer`."""

import sys

INTERRUPTED = 130  # as where a command is interrupted


def main() -> None:
    """Run the command line. Ctrl-C while its modules still load ends it without a traceback, as it does later."""
    try:
        from ttamer.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()

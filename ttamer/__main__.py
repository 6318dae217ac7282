"""`python -m ttamer` is the `ttamer` command."""

from ttamer.cli.main import main

if __name__ == "__main__":
    main()

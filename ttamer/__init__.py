"""Plan how machine-learning models are served: measure, solve, prove.

The rooms (`cli`, `exits`, `planning`, `profiles`, `profiling`) lie at the root of the
repository and import as `ttamer.cli`, `ttamer.exits` and so on. An installed wheel holds them
inside this package; in a source checkout the line below adds the root to the package's path,
so nothing has to be installed and new files are seen at once.
"""

from pathlib import Path

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))

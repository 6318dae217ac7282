"""The command's way in, before any of its modules is there."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import pytest

from ttamer.__main__ import main


class Interrupting(MetaPathFinder):
    """Ctrl-C in the moment in which the command line is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "ttamer.cli.main":
            raise KeyboardInterrupt


def test_ctrl_c_while_modules_load_ends_with_130_and_nothing_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "ttamer.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")

"""The failures a user can meet, each with a remedy and a documented exit code.

A failure outside this family is a bug and keeps its traceback (exit code 1).
"""


class TtamerError(Exception):
    """An expected failure: one sentence that says what is wrong and one that says what to do."""

    exit_code = 2

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class InputError(TtamerError):
    """A value given by the user is outside what is allowed."""


class DocumentError(InputError):
    """A document is missing, corrupt, of another format or too new."""


class InfeasibleError(TtamerError):
    """No plan meets the constraints; the remedy names the nearest ones that can be met."""

    exit_code = 3


class BrokenPromiseError(TtamerError):
    """A plan does not keep what it promises, or a measurement regressed."""

    exit_code = 4


class UntrustworthyError(TtamerError):
    """A measurement must not be believed (raised under `--strict`)."""

    exit_code = 5


class Interrupted(TtamerError):
    """The user stopped a run; what was finished is saved."""

    exit_code = 130

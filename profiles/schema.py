"""The base of documents that people or other tools may write: validated field by field."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from ttamer.profiles.errors import DocumentError

KINDS = {
    "model": "a mapping",
    "dict": "a mapping",
    "tuple": "a list",
    "list": "a list",
    "int": "a whole number",
    "int_from_float": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
}  # what pydantic calls them


class Document(BaseModel):
    """An immutable record whose unknown keys are refused and whose numbers must be finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @classmethod
    def parse(cls, content: Mapping[str, Any], path: Path | str) -> Self:
        """The record in plain data; `path` says where it comes from.

        Raises DocumentError that names the first wrong field and its value.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise _first_problem(error, cls, path) from None


def _first_problem(error: ValidationError, document: type[BaseModel], path: Path | str) -> DocumentError:
    found = error.errors()
    # A misspelt key is also a missing one: what was written is named, not what was meant.
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    where = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        key, known = str(first["loc"][-1]), _all_keys(document)
        close = get_close_matches(key, sorted(known), n=1)
        known_here = f"known: {', '.join(document.model_fields)}" if len(first["loc"]) == 1 else ""
        remedy = f"did you mean {close[0]!r}?" if close else known_here
        if key in known:
            remedy = f"write it under {known[key]!r}" if known[key] else "write it at the top of the file"
        return DocumentError(f"{path}: unknown key {where!r}", remedy=remedy)
    if first["type"] == "missing":
        return DocumentError(f"{path}: {where!r} is missing", remedy="add it or write the document anew")
    seen = first["input"] if not isinstance(first["input"], (dict, list)) else "..."
    return DocumentError(f"{path}: {where} = {seen!r}: {_allowed(first)}", remedy="correct it and try again")


def _allowed(problem: ErrorDetails) -> str:
    """What pydantic says a value must be, without the names of classes and of the library's types."""
    kind = problem["type"].removesuffix("_type").removesuffix("_parsing")
    if kind in KINDS:
        return f"must be {KINDS[kind]}"
    words = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return words[:1].lower() + words[1:]


def _all_keys(document: type[BaseModel], under: str = "") -> dict[str, str]:
    """The keys of a document and of what it holds, each with the key that it stands under."""
    keys = dict.fromkeys(document.model_fields, under)
    for name, field in document.model_fields.items():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                keys = _all_keys(inner, name) | keys
    return keys

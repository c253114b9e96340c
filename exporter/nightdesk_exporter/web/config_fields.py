"""What the sections of the web configuration file have in common, and what is said where one is wrong."""

from __future__ import annotations

from typing import Annotated, Any

from nightdesk_core.settings import SettingsModel
from pydantic import AfterValidator, BeforeValidator, ValidationError, ValidationInfo, field_validator

_WORDS = {
    "extra_forbidden": "is not a key that exists here",
    "invalid_key": "is not a key that exists here",
    "missing": "is missing",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list of texts",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
}
"""By pydantic's name of what is wrong."""


class Section(SettingsModel):
    """A section of the file. What is left empty in it is as if it were not there."""

    @field_validator("*", mode="before")
    @classmethod
    def _default_where_empty(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        return field.get_default() if value in (None, {}, "") and not field.is_required() else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text)]
"""A number counts: a duration may be 0."""


def one_of(*allowed: str) -> AfterValidator:
    """Return the check that a text is empty or one of those."""

    def check(value: str) -> str:
        if value and value not in allowed:
            raise ValueError(f"must be {' or '.join(allowed)}")
        return value

    return AfterValidator(check)


def problems_of(error: ValidationError) -> list[str]:
    """Return a line for each thing wrong, with the path of its key. What was given is in none: it may be a hash."""
    return [
        f"{'.'.join(str(part) for part in item['loc'] if part != '[key]')}: "
        + _WORDS.get(item["type"], item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_input=False, include_url=False)
    ]

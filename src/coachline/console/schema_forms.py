"""Forms from JSON Schema: what to ask for, reading what was typed, and saying what is wrong where.

A model that says what it wants (a channel's ``Config``, a tenant's changes) needs no page of its
own: its fields appear with their descriptions, also those that are added later. A secret that was
typed is never shown again, not even in the form that comes back with a fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError

Kind = Literal[
    "text",
    "area",
    "number",
    "flag",
    "choice",
    "lines",
    "json",
    "secret",
    "secrets",
    "secret_json",
]

_LONG_TEXT: Final = 300
_SECRETS: Final = frozenset({"secret", "secrets", "secret_json"})
_NO_FAULTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Attributes:
        name: in the model and in the form.
        label: for people.
        hint: the model's description.
        kind: how it is typed in; ``lines`` and ``secrets`` are lists, one item in a line.
        options: of a choice.
        is_required: whether the model has no default for it.
        is_first: whether it is shown at once, not below "More settings".
        may_be_none: whether an empty field means null.
        is_makeable: whether the gateway makes one where nothing is typed.
        value: what it shows; never a secret.
        fault: what is wrong with it.
        attributes: for the element: lengths, bounds, a pattern.
    """

    name: str
    label: str
    hint: str
    kind: Kind
    options: tuple[str, ...] = ()
    is_required: bool = False
    is_first: bool = True
    may_be_none: bool = False
    is_makeable: bool = False
    value: str = ""
    fault: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether a flag is set."""
        return self.value == "true"


@dataclass(frozen=True, slots=True)
class Form:
    """Fields, and what is wrong with the whole of them."""

    fields: tuple[Field, ...]
    fault: str = ""

    @property
    def first(self) -> tuple[Field, ...]:
        """What is shown at once; a field with a fault is."""
        return tuple(one for one in self.fields if one.is_first or one.fault)

    @property
    def more(self) -> tuple[Field, ...]:
        """What is shown on request."""
        return tuple(one for one in self.fields if not one.is_first and not one.fault)

    def show(self, values: Mapping[str, Any]) -> Form:
        """The same with values as the model has them."""
        return Form(
            tuple(
                replace(one, value=_written(values[one.name], one.kind))
                if one.name in values and one.kind not in _SECRETS
                else one
                for one in self.fields
            ),
            self.fault,
        )

    def keep(
        self, typed: Mapping[str, str], faults: Mapping[str, str] = _NO_FAULTS, fault: str = ""
    ) -> Form:
        """The same with what was typed, but no secret, and with what is wrong."""
        return Form(
            tuple(
                replace(
                    one,
                    value="" if one.kind in _SECRETS else _typed(one, typed),
                    fault=faults.get(one.name, ""),
                )
                for one in self.fields
            ),
            fault,
        )

    def read(
        self, typed: Mapping[str, str], *, empty_is_default: bool = True
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The values that were typed, as the model takes them, and what cannot be read.

        An empty field is null where the model takes that; else it is left out, so that the model's
        default holds, unless ``empty_is_default`` is false: then it is a text without letters.
        """
        values: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for one in self.fields:
            text = _typed(one, typed)
            try:
                if text.strip() or one.kind == "flag":
                    values[one.name] = _read(one.kind, text)
                elif one.may_be_none:
                    values[one.name] = None
                elif not empty_is_default and one.kind in ("text", "area", "lines"):
                    values[one.name] = _read(one.kind, text)
            except ValueError:
                faults[one.name] = _UNREADABLE.get(one.kind, "This cannot be read.")
        return values, faults


_UNREADABLE: Mapping[Kind, str] = MappingProxyType(
    {
        "number": "Give a number.",
        "json": "This is not valid JSON.",
        "secret_json": "This is not valid JSON.",
    }
)


def form_of(model: type[BaseModel], *, described_by: type[BaseModel] | None = None) -> Form:
    """The form of a model: what it requires first, then what it describes, then the rest.

    What the model marks ``readOnly`` is found out later and not asked for. Where its fields are
    described in another model, those words are the hints.
    """
    schema = model.model_json_schema()
    required, known = set(schema.get("required", ())), schema.get("$defs", {})
    words = described_by.model_json_schema()["properties"] if described_by else {}
    found = [
        _field(
            name,
            {
                **_plain(about, known),
                **{key: text for key, text in words.get(name, {}).items() if key == "description"},
            },
            is_required=name in required,
        )
        for name, about in schema.get("properties", {}).items()
        if not about.get("readOnly")
    ]
    return Form(tuple(sorted(found, key=lambda one: (not one.is_first, not one.is_required))))


def faults_of(error: ValidationError) -> tuple[dict[str, str], str]:
    """What is wrong, by field, and what is wrong with the whole; values are never repeated."""
    by_field: dict[str, str] = {}
    whole: list[str] = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        words = str(fault["msg"]).removeprefix("Value error, ")
        words = words[:1].upper() + words[1:]
        if fault["loc"]:
            by_field.setdefault(str(fault["loc"][0]), words)
        else:
            whole.append(words)
    return by_field, " ".join(whole)


def _plain(about: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A property with its references and its null resolved."""
    found = dict(about)
    while "$ref" in found:
        target = known[found.pop("$ref").rpartition("/")[2]]
        found = {**target, **found}
    options = found.pop("anyOf", None)
    if options is None:
        return found
    given = [option for option in options if option.get("type") != "null"]
    inner = _plain(given[0], known) if len(given) == 1 else {}
    return {**inner, **found, "x-nullable": len(given) < len(options)}


def _field(name: str, about: Mapping[str, Any], *, is_required: bool) -> Field:
    kind = _kind(about)
    bounds = {
        "minimum": "min",
        "maximum": "max",
        "maxLength": "maxlength",
        "minLength": "minlength",
    }
    attributes = {bounds[key]: str(value) for key, value in about.items() if key in bounds}
    if kind not in ("number", "text", "area"):
        attributes = {}
    if kind == "number":
        attributes["step"] = "1" if about.get("type") == "integer" else "any"
    default = about.get("default")
    return Field(
        name=name,
        label=name.replace("_", " ").capitalize(),
        hint=str(about.get("description", "")),
        kind=kind,
        options=tuple(str(option) for option in about.get("enum", ())),
        is_required=is_required,
        is_first=is_required or "description" in about,
        may_be_none=bool(about.get("x-nullable")),
        is_makeable=about.get("x-made-by") == "generate_secret",
        value="" if kind in _SECRETS else _written(default, kind),
        attributes=attributes,
    )


def _kind(about: Mapping[str, Any]) -> Kind:
    type_, items = about.get("type"), about.get("items", {})
    is_secret = about.get("format") == "password"
    kinds: Sequence[tuple[bool, Kind]] = (
        ("enum" in about, "choice"),
        (type_ == "boolean", "flag"),
        (type_ in ("integer", "number"), "number"),
        (type_ == "string" and is_secret, "secret"),
        (type_ == "string" and about.get("maxLength", 0) > _LONG_TEXT, "area"),
        (type_ == "string", "text"),
        (type_ == "array" and items.get("format") == "password", "secrets"),
        (type_ == "array" and items.get("type") == "string", "lines"),
        ("'format': 'password'" in str(about), "secret_json"),
    )
    return next((kind for is_so, kind in kinds if is_so), "json")


def _typed(one: Field, typed: Mapping[str, str]) -> str:
    if one.kind == "flag":
        return "true" if one.name in typed else "false"
    return typed.get(one.name, "").replace("\r\n", "\n")


def _read(kind: Kind, text: str) -> Any:
    match kind:
        case "flag":
            return text == "true"
        case "number":
            return float(text) if not text.strip().lstrip("-").isdigit() else int(text)
        case "lines" | "secrets":
            return [line.strip() for line in text.split("\n") if line.strip()]
        case "json" | "secret_json":
            return json.loads(text)
        case "secret" | "text":
            return text.strip()
        case _:
            return text


def _written(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    match kind:
        case "flag":
            return "true" if value else "false"
        case "lines":
            return "\n".join(str(line) for line in value)
        case "json":
            return json.dumps(value, ensure_ascii=False, indent=2, default=str)
        case _:
            return str(value)

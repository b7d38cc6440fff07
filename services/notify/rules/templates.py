"""How a message gets its text: a template with named fields, ours or the business's own, filled in.

A field is written `$field`, or `${field}` where a letter follows it, and a dollar sign `$$`: the `string.Template` of
Python, which runs nothing. A template has no logic; what is said only at times is a sentence that may be empty.
"""

import re
from dataclasses import dataclass
from string import Template as Pattern

from services.notify.rules.letters import Fields
from shared.errors import Invalid

MOST_FIELDS = 50
"""In one text, however often it names the same one: an invoice with many lines stays a mail of a sane size."""

BLANKS = re.compile(r"[ \t]+")
GAPS = re.compile(r"\n{3,}")


class UnknownField(Invalid):
    """The text names a field that this kind of message does not have."""


class LoneDollar(Invalid):
    """A dollar sign stands in the text and no field follows it."""


class TooManyFields(Invalid):
    """The text names more fields than a message can hold."""


class SaysNothing(Invalid):
    """Nothing is left of the text where its fields are empty."""


@dataclass(frozen=True)
class Template:
    """A text with fields: what a message of one kind says."""

    subject: str
    body: str


@dataclass(frozen=True)
class Field:
    """A name that a template may use, and what stands there in the message."""

    name: str
    says: str
    may_be_empty: bool = False


@dataclass(frozen=True)
class Letter:
    """A message as it will be read."""

    subject: str
    body: str


def write(template: Template, fields: Fields) -> Letter:
    """A template with its fields filled in: a subject on one line, and no gap where a field is empty."""
    subject = Pattern(template.subject).substitute(fields)
    body = Pattern(template.body).substitute(fields)
    lines = "\n".join(BLANKS.sub(" ", line).strip() for line in body.splitlines())
    return Letter(" ".join(subject.split()), GAPS.sub("\n\n", lines).strip() + "\n")


def accept(template: Template, fields: tuple[Field, ...]) -> Template:
    """A business's own text uses only fields that there are, and says something whatever is empty (PB-04).

    Raises UnknownField, LoneDollar, TooManyFields or SaysNothing; `errors` names the part, as in every problem.
    """
    for part, text in (("subject", template.subject), ("body", template.body)):
        _check(part, text, [field.name for field in fields])
    least = write(template, {field.name: "" if field.may_be_empty else "x" for field in fields})
    for part, left in (("subject", least.subject), ("body", least.body.strip())):
        if not left:
            message = "Add a word, or a field that is never empty."
            raise SaysNothing(f"{part}: {message}", errors=[{"field": part, "message": message}])
    return template


def _check(part: str, text: str, known: list[str]) -> None:
    pattern = Pattern(text)
    unknown = [name for name in pattern.get_identifiers() if name not in known]
    if unknown:
        message = f"{_listed(unknown)}: no field of this kind of message. Its fields are {_listed(known)}."
        raise UnknownField(f"{part}: {message}", errors=[{"field": part, "message": message}])
    if not pattern.is_valid():
        message = "Write $$ for a dollar sign, and a field as $field or ${field}."
        raise LoneDollar(f"{part}: {message}", errors=[{"field": part, "message": message}])
    if text.count("$") - 2 * text.count("$$") > MOST_FIELDS:
        message = f"Name at most {MOST_FIELDS} fields."
        raise TooManyFields(f"{part}: {message}", errors=[{"field": part, "message": message}])


def _listed(names: list[str]) -> str:
    return ", ".join(f"${name}" for name in names)

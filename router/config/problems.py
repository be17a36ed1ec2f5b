"""What is wrong with the shape of a file, told with key path and what is allowed.

Keys are named as in the file, `nat.timeouts.udp`; `host[2].address` is in the second `[[host]]`.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from router.config.links import KINDS, LinkSection
from router.config.section import Section

__all__ = ["key_path", "shape_problems"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0: other keys are quoted

_SENTENCES = {
    "model_type": "is not a table of keys",
    "tuple_type": "is not a list",
}

# Which keys a link has depends on its backend, so without a known one these say nothing.
_DEPENDS_ON_BACKEND = frozenset({"extra_forbidden", "missing"})

_Location = tuple[int | str, ...]


def shape_problems(error: ValidationError, schema: type[Section]) -> Iterator[str]:
    """Yield `KEY: SENTENCE` for each mistake pydantic found in a file of this schema."""
    details = error.errors(include_url=False)
    foreign = {each["loc"][:-1] for each in details if _is_foreign_backend(each)}
    for each in details:
        if each["loc"][:-1] in foreign and _depends_on_backend(each):
            continue
        yield f"{key_path(*_in_file(each['loc']))}: {_sentence(each, schema)}"


def key_path(*location: int | str) -> str:
    """Return the name of a place in the file; list items count from 0 here, from 1 in the name."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step + 1}]"
        else:
            key = step if _BARE_KEY.fullmatch(step) else repr(step)
            path += f".{key}" if path else key
    return path


def _in_file(location: _Location) -> _Location:
    """Return a place without the kind of link that pydantic tells behind the link's number."""
    return (*location[:2], *location[3:]) if location[0] == "link" else location


def _is_foreign_backend(each: ErrorDetails) -> bool:
    return each["type"] in {"value_error", "missing"} and each["loc"][-1] == "backend"


def _depends_on_backend(each: ErrorDetails) -> bool:
    return each["type"] in _DEPENDS_ON_BACKEND and each["loc"][-1] not in LinkSection.options()


def _sentence(each: ErrorDetails, schema: type[Section]) -> str:
    *outer, key = each["loc"]
    if each["type"] == "extra_forbidden":
        return _unknown(str(key), _section_at(schema, outer))
    if each["type"] == "missing":
        (example,) = _section_at(schema, outer).options()[str(key)].examples or [""]
        return f'is missing; set it, such as {key} = "{example}"'
    if each["type"] == "value_error":
        return str(each["ctx"]["error"])
    return _SENTENCES[each["type"]]


def _unknown(key: str, section: type[Section]) -> str:
    if issubclass(section, LinkSection) and any(key in kind.options() for kind in KINDS.values()):
        return f"does not go with this backend: {section.nature}"
    near = difflib.get_close_matches(key, section.options(), n=1)
    if near:
        return f'is not a known key; did you mean "{near[0]}"?'
    return f"is not a known key; known here are {', '.join(section.options())}"


def _section_at(schema: type[Section], location: Sequence[int | str]) -> type[Section]:
    for step in location:
        if issubclass(schema, LinkSection) and step in KINDS:
            schema = KINDS[str(step)]
        elif isinstance(step, str):
            schema = _section_in(schema.options()[step].annotation)
    return schema


def _section_in(annotation: Any) -> type[Section]:
    """Return the section that a key holds, one or a list of them; of links, any kind."""
    while not (isinstance(annotation, type) and issubclass(annotation, Section)):
        annotation = get_args(annotation)[0]
    return annotation

"""A request's body as its model. What a refusal costs is bounded, whatever the body holds."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw
from pydantic import AliasChoices, BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.invalid import MAX_NAMED, invalid
from app.errors import InvalidRequest

LARGE_BYTES = 16_384
"""Larger bodies are looked through before they are validated: pydantic makes an object of all that they hold."""

MAX_LISTED = 1000
"""Items of a list that are validated; above the maximum length of every list that a route takes."""

MAX_ITEM_FIELDS = 8
"""Fields of an object in such a list that are validated; above the number that any has."""

M = TypeVar("M", bound=BaseModel)
_fields_of = msgspec.json.Decoder(dict[str, Raw]).decode
_items_of = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode
_LIST, _OBJECT, _NULL = Raw(b"[]"), Raw(b"{}"), Raw(b"null")
_EMPTY = {ord("["): _LIST, ord("{"): _OBJECT}


class Body(Generic[M]):
    """Reads and validates the bodies of one route."""

    def __init__(self, model: type[M]) -> None:
        self._validate: Callable[[bytes], M] = model.__pydantic_validator__.validate_json
        self._open = issubclass(model, RootModel)  # an object of any fields
        self._kinds: dict[str, Any] = {}
        self._other_names: dict[str, str] = {}
        for name, field in model.model_fields.items():
            first, *others = names = _names(name, field)
            self._kinds |= dict.fromkeys(names, _kind(field))
            self._other_names |= dict.fromkeys(others, first)

    def read(self, body: bytes) -> M:
        """Raises InvalidRequest."""
        left_out = 0
        if len(body) > LARGE_BYTES:
            body, left_out = self._abridge(body)
        try:
            return self._validate(body)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False, include_context=False)
            raise invalid([self._explain(item) for item in errors], left_out) from None

    def _abridge(self, body: bytes) -> tuple[bytes, int]:
        """A body that validates like `body`, without what is refused anyway; and how many fields were left out.

        Raises InvalidRequest for what is no JSON object.
        """
        if self._open:
            if not body.lstrip().startswith(b"{"):
                raise _broken("Input should be an object")
            return body, 0
        try:
            fields = _fields_of(body)
            kept = {name: self._shortened(name, fields[name]) for name in self._kinds if name in fields}
        except msgspec.ValidationError:
            raise _broken("Input should be an object") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _broken(f"Invalid JSON: {error}") from None
        except RecursionError:
            raise _broken("Invalid JSON: nested too deeply") from None
        unknown = len(fields) - len(kept)
        named = islice((name for name in fields if name not in self._kinds), MAX_NAMED)
        return _encode(kept | dict.fromkeys(named, _NULL)), max(unknown - MAX_NAMED, 0)

    def _shortened(self, name: str, value: Raw) -> Raw:
        """The value; of a list or object where none is taken, an empty one."""
        empty, kind = _emptied(value), self._kinds[name]
        if empty is _LIST and kind is list:
            items = _items_of(value)[:MAX_LISTED]
            return Raw(_encode([_shortened_item(item) for item in items]))
        if empty is _OBJECT and kind is BaseModel:
            return _shortened_item(value)
        return value if empty is None or (empty is _OBJECT and kind is dict) else empty

    def _explain(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The error in this API's words, where pydantic's say less or speak of the abridged body."""
        if item["type"] == "extra_forbidden" and (first := self._other_names.get(item["loc"][0])):
            return {**item, "msg": f"Is another name of {first}; give one of the two"}
        return {**item, "msg": item["msg"].partition(" after validation")[0]}


def _shortened_item(item: Raw) -> Raw:
    """The item of a list; of an object its first fields with no lists or objects in them."""
    empty = _emptied(item)
    if empty is not _OBJECT:
        return item if empty is None else empty
    fields = islice(_fields_of(item).items(), MAX_ITEM_FIELDS)
    return Raw(_encode({name: _emptied(value) or value for name, value in fields}))


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]


def _kind(field: FieldInfo) -> Any:
    """`list`, `dict` or `BaseModel` for a field that takes one, else None."""
    types = (field.annotation, *get_args(field.annotation))
    if any(isinstance(each, type) and issubclass(each, BaseModel) for each in types):
        return BaseModel
    return next((origin for each in types if (origin := get_origin(each)) in (list, dict)), None)


def _emptied(value: Raw) -> Raw | None:
    """An empty list or object in place of a list or object; None for any other value."""
    return _EMPTY.get(memoryview(value)[0])


def _broken(problem: str) -> InvalidRequest:
    return invalid([{"loc": (), "msg": problem}])


async def receive_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientDisconnect, or the reason why it will not be complete."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

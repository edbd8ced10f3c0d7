"""Options of the command line made of a dataclass of settings, and the dataclass filled from them and from a document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

from harness.commands.options import DURATION, SHARE, SIZE, parse_options
from harness.errors import UserError
from harness.migrator.config import Setting

T = TypeVar("T")
Command = Callable[..., None]


_QUANTITIES: Mapping[str, click.ParamType[Any]] = {"_bytes": SIZE, "_s": DURATION, "_share": SHARE}
"""By the end of a field's name."""


class _Checked(click.ParamType[Any]):
    """``of``, within what the setting allows."""

    def __init__(self, of: click.ParamType[Any], setting: Setting) -> None:
        self.name = of.name
        self._of, self._setting = of, setting

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        made = self._of.convert(value, param, ctx)
        if (wrong := self._setting.wrong(made)) is not None:
            self.fail(f"{value!r}: {wrong}", param, ctx)
        return made


class _OrWord(click.ParamType[Any]):
    """``of``, or one of ``words``."""

    def __init__(self, of: click.ParamType[Any], words: tuple[str, ...]) -> None:
        self.name = of.name
        self._of, self._words = of, words

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if value in self._words:
            return value
        try:
            return self._of.convert(value, param, ctx)
        except click.BadParameter as exc:
            self.fail(f"{exc.message}; or write {' or '.join(self._words)}", param, ctx)


def document_option(command: Command) -> Command:
    """``--config``, from which ``configured`` takes what the command line does not say."""
    return click.option(
        "--config",
        metavar="FILE",
        help="Take settings from this JSON document (-: standard input); see below. Options given here win.",
    )(command)


def settings_of(cls: type[Any]) -> Callable[[Command], Command]:
    """An option for each field of ``cls``, in the fields' order; one that is not given is None."""

    def add(command: Command) -> Command:
        for each, kind, setting in reversed(list(_settings(cls))):
            command = click.option(setting.flag, each.name, **_form(each.name, kind, setting))(command)
        return command

    return add


def _settings(cls: type[Any]) -> Iterator[tuple[Field[Any], Any, Setting]]:
    hints = get_type_hints(cls, include_extras=True)
    for each in sorted(fields(cls), key=lambda each: bool(each.kw_only)):  # those of a base class come last
        kind, setting = get_args(hints[each.name])
        kinds = [one for one in get_args(kind) if one is not NoneType]
        yield each, kinds[0] if len(kinds) == 1 else kind, setting


def _form(name: str, kind: object, setting: Setting) -> dict[str, Any]:
    form: dict[str, Any] = {"help": setting.help, "metavar": setting.metavar}
    if kind is bool:
        return {"help": setting.help, "is_flag": True, "default": None}
    if get_origin(kind) is Mapping:
        return form | {"multiple": True}
    suffix = f"_{name.rpartition('_')[2]}"
    if suffix in _QUANTITIES:
        words = tuple(word for one in get_args(kind) if get_origin(one) is Literal for word in get_args(one))
        quantity = _QUANTITIES[suffix]
        return form | {"type": _Checked(_OrWord(quantity, words) if words else quantity, setting)}
    if kind is int:
        return form | {"type": int if setting.low is None else click.IntRange(int(setting.low), int(setting.high or 0))}
    return form | ({"type": _Checked(click.STRING, setting)} if setting.pattern else {})


def configured(cls: type[T], given: Mapping[str, Any], document: str | None = None) -> T:
    """``cls`` with what was ``given`` on the command line, and what else ``document`` says, a file's name or "-".

    :raises UserError: no such document, or something in it is wrong. :raises click.MissingParameter: neither says it.
    """
    from harness.migrator.document import WrongDocumentError, from_document

    said = {} if document is None else _read(document)
    names = {each.name: setting for each, _, setting in _settings(cls)}
    own = {name: value for name, value in given.items() if value is not None and value != ()}
    if "options" in own:
        before, after = said.get("options", {}), parse_options(own["options"])
        own["options"] = before | after if isinstance(before, dict) else before
    for each in fields(cls):  # type: ignore[arg-type]
        if each.name not in said | own and each.default is each.default_factory is MISSING:
            hint = f"'{names[each.name].flag}'"
            raise click.MissingParameter(ctx=click.get_current_context(), param_hint=hint, param_type="option")
    try:
        return from_document(cls, said | own)
    except WrongDocumentError as exc:
        raise UserError(f"--config {document}: {exc}" if document else str(exc)) from exc


def _read(document: str) -> dict[str, Any]:
    import json

    try:
        text = sys.stdin.buffer.read() if document == "-" else Path(document).read_bytes()
        found = json.loads(text)
    except OSError as exc:
        raise UserError(f"--config {document}: cannot read it: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UserError(f"--config {document}: not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise UserError(f'--config {document}: must be a table of settings, such as {{"backend": "zstd"}}')
    return found

"""Strict, typed options: the base of every plan. Unknown keys fail and name the nearest valid one."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from friedel.core.errors import PlanError


class Options(BaseModel):
    """A frozen record of options in which every key is known and every value checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    names_or_paths: ClassVar[tuple[str, ...]] = ()
    """Fields that hold the name of something shipped or a path; what is there as a file or folder is a path."""
    results: ClassVar[tuple[str, ...]] = ("output",)
    """Fields with paths that a job makes, so that they needn't be there."""

    @classmethod
    def read(cls, values: Mapping[str, Any], *, origin: str = "plan") -> Self:
        """Build the options from plain values.

        Parameters
        ----------
        values : mapping
            Keys and values as they come from YAML.
        origin : str
            Where they come from, named in the error (a path, usually).

        Raises
        ------
        PlanError
            One line per wrong key or value, with the nearest valid name.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_explain(cls, item) for item in error.errors()]
            raise PlanError(f"{origin}: " + "; ".join(lines)) from None

    def located(self, folder: Path) -> Self:
        """Return the options with relative paths, those of inner options too, taken from ``folder``."""
        update = {name: _located(getattr(self, name), folder) for name in type(self).model_fields}
        for name in self.names_or_paths:
            value = getattr(self, name)
            if isinstance(value, str) and (folder / value).exists():
                update[name] = str(folder / value)
        return self.model_copy(update=update)

    def absent_paths(self) -> list[Path]:
        """Return the files and folders that the options name to be read and that aren't there."""
        return [path for path in _paths(self) if not path.exists()]


def _located(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Options):
        return value.located(folder)
    return tuple(_located(entry, folder) for entry in value) if isinstance(value, tuple) else value


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Options):
        for name in type(value).model_fields:
            if name not in value.results:
                yield from _paths(getattr(value, name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _paths(entry)


def _explain(model: type[BaseModel], item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        given = "" if isinstance(item["input"], dict) else f" (got {item['input']!r})"
        message = item["msg"].removeprefix("Value error, ")
        return f"{where}: {message}{given}" if where else f"{message}{given}"
    key, known = str(item["loc"][-1]), _fields_at(model, item["loc"][:-1])
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(sorted(known))}"
    return f"unknown key {where!r}; {hint}"


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = getattr(field, "annotation", None)
        candidates = [inner, *getattr(inner, "__args__", ())]
        nested = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if nested is None:
            break
        model = nested
    return list(model.model_fields)

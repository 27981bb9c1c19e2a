"""Plans: YAML files in which every key is known and every value checked. What a plan means is for its job to know."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from friedel.core.errors import InputError, PlanError
from friedel.core.options import Options


class Plan(Options):
    """Everything that decides the result of one job; the base of every plan."""

    command: ClassVar[str]
    """The command that runs it, as ``friedel validate`` names it: "friedel classify"."""
    run_it: ClassVar[str]
    """That command with the arguments that make it run a plan's file, for the heading of a complete plan."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a plan's file; relative paths in it are taken from the plan's own folder.

        Raises
        ------
        InputError
            If the file is missing or can't be read.
        PlanError
            If it isn't YAML (with the line), or a key or a value is wrong (with the nearest valid name).
        """
        path = Path(path)
        return cls.read(read_yaml(path), origin=str(path)).located(path.resolve().parent)

    def text(self) -> str:
        """Return the complete plan, defaults included, as YAML that `load` reads back."""
        heading = f"# A complete plan, defaults included. Run it: {self.run_it}\n"
        return heading + yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def with_settings(self, settings: Sequence[str] = (), *, given: Mapping[str, Any] | None = None) -> Self:
        """Return the plan with what the command line says.

        Parameters
        ----------
        settings : sequence of str
            "key=value", the key as in the plan with dots between levels: ``select.single=0.9``.
        given : mapping, optional
            Keys (with dots) and values of the command's own options; None leaves the plan's value.

        Raises
        ------
        PlanError
            If a setting isn't "key=value", or a key or a value is wrong.
        """
        values: dict[str, Any] = self.model_dump()
        for key, value in (given or {}).items():
            if value is not None:
                _put(values, key, value)
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or not key.strip():
                raise PlanError(f"--set {setting!r}: write key=value, for instance --set select.single=0.9")
            try:
                _put(values, key.strip(), yaml.safe_load(text))
            except yaml.YAMLError:
                raise PlanError(f"--set {setting!r}: the value can't be read; put it in quotes") from None
        return self.read(values, origin="command line")

    def folder_for(self, given: Path | None, *, what: str = "results") -> Path:
        """Return where to put the results: the folder given, or the plan's ``output``.

        Raises
        ------
        PlanError
            If there is neither.
        """
        folder: Path | None = given or getattr(self, "output", None)
        if folder is None:
            raise PlanError(f"no folder for the {what}: give -o DIR, or 'output' in the plan")
        return folder


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *levels, last = key.split(".")
    for level in levels:
        inner = values.get(level)
        if not isinstance(inner, dict):
            inner = values[level] = {}
        values = inner
    values[last] = value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys and values of a plan.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    PlanError
        If it isn't YAML (with the line), or not a list of keys and values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't read the plan ({error}); check the path") from error
    try:
        values = yaml_values(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that isn't one
        raise PlanError(f"{path}{_place(error)}: not valid YAML: {_problem(error)}") from None
    if not isinstance(values, dict):
        raise PlanError(f"{path}: a plan is a list of 'key: value' lines, got {type(values).__name__}")
    return values


class _Unique(yaml.SafeLoader):  # type: ignore[misc]
    """YAML in which no key stands twice in one mapping; PyYAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name in seen and name != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def yaml_values(text: str) -> Any:
    """Return what a YAML text holds.

    Raises
    ------
    yaml.YAMLError
        If it isn't YAML, or a key stands twice in one mapping.
    """
    return yaml.load(text, Loader=_Unique)


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)

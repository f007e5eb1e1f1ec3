"""What cards and parameters share: strict models whose errors are one line with file, field and what was expected."""

from pathlib import Path
from typing import Any, TypeVar

import annotated_types
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

MOST_VALUES = 100_000  # in one YAML file
DEEPEST = 20


class Settings(BaseModel):
    """A frozen model that refuses unknown fields and converts nothing silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Model = TypeVar("Model", bound=Settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises ValueError (one line, with the file) if it is missing, broken or no mapping."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}: not valid YAML{line}: {getattr(error, 'problem', None) or 'cannot be parsed'}") from None
    except RecursionError:
        raise ValueError(f"{path}: nested too deeply; expected at most {DEEPEST} levels") from None
    except ValueError as error:  # a number or date that cannot be
        raise ValueError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a mapping of fields, found {type(value).__name__}")
    _check_size(value, path)
    return value


def _check_size(value: Any, path: Path) -> None:
    """Refuse what aliases make out of a few lines: a value within itself, or billions of them."""
    ahead: list[tuple[Any, int]] = [(value, 1)]
    seen = 0
    while ahead:
        inner, depth = ahead.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise ValueError(f"{path}: expected at most {MOST_VALUES} values, {DEEPEST} levels deep")
        if isinstance(inner, dict):
            ahead += [(part, depth + 1) for pair in inner.items() for part in pair]
        elif isinstance(inner, list | tuple | set):
            ahead += [(part, depth + 1) for part in inner]


def validate(model: type[Model], values: dict[str, Any], where: str) -> Model:
    """Build `model` from `values`. Raises ValueError with one line: `where`, the field, what was expected, what was found."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {_explain(model, error)}") from None


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    location = [part for part in first["loc"] if part != "[key]"]
    name = ".".join(str(part) for part in location) or "value"
    name = name if name.isprintable() and len(name) <= 200 else ascii(name)[:200]
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, location[:-1])
        known = ", ".join(parent.model_fields) if parent else "see the README"
        return f"{name}: unknown field; known here: {known}"
    if first["type"] == "missing":
        return f"{name}: missing; it is required"
    if first["type"] == "value_error":
        return f"{name}: {first['ctx']['error']}"
    field = _field_at(model, location)
    bounds = _bounds(field) if field else ""
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    return f"{name}: {_lower_first(first['msg'])}{bounds}, found {found}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _field_at(model: type[BaseModel], location: list[Any]) -> FieldInfo | None:
    parent = _model_at(model, location[:-1])
    return parent.model_fields.get(str(location[-1])) if parent and location else None


def _model_at(model: type[BaseModel], location: list[Any]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in location:
        field = current.model_fields.get(str(part)) if current else None
        kind = field.annotation if field else None
        current = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return current


def _bounds(field: FieldInfo) -> str:
    low = next((m.ge for m in field.metadata if isinstance(m, annotated_types.Ge)), None)
    high = next((m.le for m in field.metadata if isinstance(m, annotated_types.Le)), None)
    return f" (range {low} to {high})" if low is not None and high is not None else ""

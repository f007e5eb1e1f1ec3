"""What cards and parameters share: strict models whose errors are one line with file, field and what was expected."""

from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args, get_origin

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


class _Loader(yaml.SafeLoader):
    """SafeLoader takes the last of two equal keys without a word; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises ValueError (one line, with the file) if it is missing, broken or no mapping."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)
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
    kind: Any = model
    for part in location:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]  # the part is a key of it
            continue
        field = kind.model_fields.get(str(part)) if _is_model(kind) else None
        kind = field.annotation if field else None
    return kind if _is_model(kind) else None


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bounds(field: FieldInfo) -> str:
    low = next((m.ge for m in field.metadata if isinstance(m, annotated_types.Ge)), None)
    high = next((m.le for m in field.metadata if isinstance(m, annotated_types.Le)), None)
    return f" (range {low} to {high})" if low is not None and high is not None else ""

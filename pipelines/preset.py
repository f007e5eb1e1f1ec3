"""`python -m pipelines preset NAME`: a preset of presets/ in the place of params.yaml, or, of presets/rules/, into it.

A preset that lists domains replaces the file. One that does not is a rule: it changes the settings that it names, and all
else stays, comments and order too.
"""

import io
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML

from pipelines.files import write_text
from pipelines.layout import Layout
from pipelines.params import Params
from pipelines.settings import read_yaml, validate


def use_preset(name: str, folder: str | None, layout: Layout) -> int:
    """Follow a preset; the former params.yaml stays as params.yaml.bak. Raises ValueError (one line) if there is none such."""
    presets = layout.root / "presets"
    source = presets / f"{name}.yaml"
    if not source.exists():
        known = ", ".join(sorted(path.relative_to(presets).with_suffix("").as_posix() for path in presets.rglob("*.yaml")))
        raise ValueError(f"{source}: no such preset; there are {known}")
    rule = read_yaml(source)
    whole = "domains" in rule
    if folder is not None and not whole:
        raise ValueError(f"--folder {folder}: {source} is a rule for the domains that you have; leave --folder out")
    text = source.read_text(encoding="utf-8") if whole else with_values(_present(layout), rule)
    if folder is not None:
        text = _with_folder(text, folder)
    validate(Params, yaml.safe_load(text), str(source if whole else layout.params))
    if layout.params.exists():
        write_text(layout.params.with_name("params.yaml.bak"), layout.params.read_text(encoding="utf-8"))
    write_text(layout.params, text)
    print(f"{layout.params} now follows {source}; the former one is kept as params.yaml.bak. Next: dvc repro")
    return 0


def with_values(text: str, values: dict[str, Any]) -> str:
    """The text of a YAML file with these values, mapping by mapping, in the place of its own; comments and order stay."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 1 << 20  # no line is broken
    editor.representer.add_representer(type(None), lambda said, _: said.represent_scalar("tag:yaml.org,2002:null", "null"))
    content = editor.load(text)
    _put(content, values)
    out = io.StringIO()
    editor.dump(content, out)
    return out.getvalue()


def _put(content: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(content.get(name), dict):
            _put(content[name], value)
        else:
            content[name] = value


def _present(layout: Layout) -> str:
    validate(Params, read_yaml(layout.params), str(layout.params))  # what is wrong there is no fault of the rule
    return layout.params.read_text(encoding="utf-8")


def _with_folder(text: str, folder: str) -> str:
    if not Path(folder).is_dir():
        raise ValueError(f"--folder {folder}: no such folder; name the one that holds the cards' files")
    lines = [line for line in text.splitlines() if not line.startswith("sources_folder:")]
    return "\n".join([*lines, f"sources_folder: {yaml.safe_dump(folder).splitlines()[0]}"]) + "\n"

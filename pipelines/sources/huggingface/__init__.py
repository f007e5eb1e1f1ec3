"""Source kind `huggingface`: a data set of the hub by its id, or Parquet, Arrow and other files as `datasets` keeps them.

Of the hub: one revision, pinned by its commit at the first fetch. source_id is the split, then the picture's path where all
rows have one and no two are equal, else `<file>#<row>`. Order: splits and files as the data set lists them, rows as stored.
"""

import re
from collections import Counter
from collections.abc import Generator

from pipelines.cards import Source
from pipelines.files import joint_checksum
from pipelines.sources import Fault, Look, RawRecord
from pipelines.sources.huggingface.columns import choose, label_text
from pipelines.sources.huggingface.plan import FORMATS, Plan, local_plan
from pipelines.sources.huggingface.repo import hub_look, hub_plan, repo_id
from pipelines.sources.huggingface.rows import features_of, labels, paths_are_names, picture_bytes, rows
from pipelines.sources.members import Bounds
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch_all
from pipelines.transfer.locators import check_locator, shown

OPTIONS = {"config": str, "split": (str, list), "revision": str, "streaming": bool, "format": str}
LIMIT = Bounds().picture_bytes
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


def check(source: Source) -> None:
    """Raise ValueError if the card asks for what this kind cannot do."""
    if repo_id(source.locator, None) is None:
        check_locator(source.locator)
    if source.label.layout is not None or source.label.table is not None:
        raise ValueError("source.label.layout: this kind knows columns alone; leave layout and table out")
    for name, value in source.options.items():
        if name not in OPTIONS:
            raise ValueError(f"source.options: huggingface takes {', '.join(OPTIONS)}, found {name}")
        if not isinstance(value, OPTIONS[name]) or value == "":  # type: ignore[arg-type]
            raise ValueError(f"source.options.{name}: expected {_expected(name)}, found {value!r}")
    split = source.options.get("split")
    if isinstance(split, list) and (
        not split or not all(isinstance(name, str) for name in split) or len(set(split)) < len(split)
    ):
        raise ValueError(f"source.options.split: expected a split or a list of different splits, found {split!r}")
    if not REVISION.fullmatch(source.options.get("revision", "main")):
        raise ValueError("source.options.revision: expected a branch, a tag or a commit")
    if source.options.get("format", "parquet") not in FORMATS:
        raise ValueError(f"source.options.format: expected one of {', '.join(FORMATS)}, found {source.options['format']!r}")


def _expected(name: str) -> str:
    return {"streaming": "true or false", "split": "a split or a list of splits"}.get(name, "a text")


def records(source: Source, place: Place) -> Generator[RawRecord, None, dict[str, object]]:
    """Yield the rows lazily; return `passed_over`, the rows without a label, and `checksum` or, of the hub, `revision`.

    A row without bytes of its own becomes a record with a fault; a path in a row is a name and never opened, except where the
    data set is a folder of pictures: those inside it are read. The checksum of several files is the SHA-256 of their lines
    `<sha256>  <name>`. Raises ValueError (one line) for columns, splits, configs or a revision that are not there, for access
    that is refused and for damage; TransferError where another attempt may help.
    """
    plan, learned = _plan(source, place)
    features = features_of(plan, place)
    columns = choose(features, source.label, plan.where, paths=bool(plan.root))
    feature, of_group = columns.feature(features), columns.group_feature(features)
    by_path = paths_are_names(plan, columns.image)
    passed_over = 0
    for split in plan.splits:
        for row in rows(plan, split, columns, features, place):
            text = label_text(feature, row.label, f"{plan.where}: {row.name}")
            if text is None:
                passed_over += 1
                continue
            if len(row.data) > LIMIT:
                raise ValueError(f"{plan.where}: {row.name}: a picture of {len(row.data)} bytes, more than {LIMIT}; refusing")
            name = row.path if by_path and row.path else row.name
            fault = Fault(row.fault) if row.fault else None
            group = label_text(of_group, row.group, f"{plan.where}: {row.name}")
            yield RawRecord(f"{split}/{name}" if plan.prefixed else name, text, row.data, fault=fault, group=group)
    return {**learned, "passed_over": passed_over}


def look(source: Source, place: Place) -> Look:
    """What is there and how it would be read; of the hub without any picture. Raises as `records`."""
    if (name := repo_id(source.locator, place.folder)) is not None:
        return hub_look(name, source, place)
    plan, _ = _local(source, place)
    features = features_of(plan, place)
    columns = choose(features, source.label, plan.where, paths=bool(plan.root))
    feature = columns.feature(features)
    counts: Counter[str] = Counter()
    for split in plan.splits:
        for value in labels(plan, split, columns, features, place):
            counts.update(text for text in [label_text(feature, value, plan.where)] if text is not None)
    files = plan.files()
    said = [
        f"{plan.module}: {len(files)} file{'s' * (len(files) != 1)}",
        f"pictures in column {columns.image!r}, classes in column {columns.spec!r}",
    ]
    label = source.label.model_copy(update={"image_column": columns.image, "column": columns.spec})
    options = {**source.options, "format": plan.module}
    if plan.prefixed:
        options["split"] = list(plan.splits)
    found = source.model_copy(update={"label": label, "options": options})
    return Look(found, said, classes=dict(sorted(counts.items())), records=counts.total(), bytes=picture_bytes(plan, columns))


def _plan(source: Source, place: Place) -> tuple[Plan, dict[str, object]]:
    """The plan, and what is learned of the source before the first record."""
    if (name := repo_id(source.locator, place.folder)) is not None:
        plan, revision = hub_plan(name, source, place)
        return plan, {"revision": revision}
    plan, locators = _local(source, place)
    if not locators:
        return plan, {}
    fetch_all([locator for locator in locators if shown(locator) not in place.came], place)
    checksum = joint_checksum([(locator.rpartition("/")[2], place.came[shown(locator)].sha256) for locator in locators])
    if source.checksum and checksum != source.checksum:
        raise ValueError(f"source.checksum: the {len(locators)} files of {source.locator!r} ({locators[0]}, ...) are others")
    if plan.root:
        for locator in locators:
            del place.came[shown(locator)]  # the table does not pin the pictures that it names; all records together do
    return plan, {"checksum": checksum}


def _local(source: Source, place: Place) -> tuple[Plan, list[str]]:
    hub_only = next((name for name in ("config", "revision", "streaming") if name in source.options), None)
    if hub_only is not None:
        raise ValueError(
            f"source.options.{hub_only}: for data sets of the hub alone, but {source.locator!r} is a file or a folder"
        )
    plan, locators = local_plan(source, place)
    if "split" in source.options and not plan.prefixed:
        raise ValueError(f"source.options.split: {plan.where} has no splits")
    if source.checksum and not locators:
        raise ValueError("source.checksum: a folder of pictures has none; leave it out")
    return plan, locators

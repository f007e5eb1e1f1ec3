"""From the files of an archive or a folder to records, and to what a look says of them."""

from collections.abc import Generator

from pipelines.cards import Label, Source
from pipelines.seen import Seen
from pipelines.sources import Fault, Look, RawRecord
from pipelines.sources.layouts import Folders, Plan, plan
from pipelines.sources.members import Files, Refused, is_packed, is_picture
from pipelines.sources.survey import survey

REMEMBERED = 100_000  # repeated names whose count is kept


def read_records(files: Files, label: Label) -> Generator[RawRecord, None, int]:
    """Yield the records in the order of the files, then the rows of a table whose file is missing; return what is passed over.

    One walk where the card says that classes are folders, else one more before it, over names. Raises ValueError (one line)
    as `members.Files` and `layouts.plan`, at the latest at the end, or if there is no record.
    """
    found: Plan = Folders() if label.layout == "folders" else plan(survey(files), label).plan
    names = SourceIds()
    tally = Tally(found)
    records = 0
    for name, labels, data in files.read(tally.choose):
        for of_class in labels:
            yield RawRecord(names.give(name), of_class, data, group=found.group(name))
        records += len(labels)
    for name, of_class, group in found.missing():
        fault = Fault("the label table names a file that is not there")
        yield RawRecord(names.give(name), of_class, b"", fault=fault, group=group)
        records += 1
    if not records:
        raise Refused(f"{files.path}: no picture with a class; {tally.why()}")
    return tally.passed_over + found.passed_over + files.skipped


def look_into(files: Files, source: Source) -> Look:
    """What `read_records` would read, from names and tables alone."""
    seen = survey(files)
    found = plan(seen, source.label)
    tally = Tally(found.plan)
    classes: dict[str, int] = {}
    size = 0
    for name, of_file in zip(seen.names, seen.sizes, strict=True):
        for label in tally.choose(name):
            classes[label] = classes.get(label, 0) + 1
            size += of_file
    missing = 0
    for _, label, _ in found.plan.missing():
        classes[label] = classes.get(label, 0) + 1
        missing += 1
    if not classes:
        raise Refused(f"{files.path}: no picture with a class; {tally.why()}")
    said = [*found.said]
    passed_over = tally.passed_over + found.plan.passed_over + files.skipped
    if missing:
        said.append(f"{missing} rows of the table name files that are not there")
    if passed_over:
        said.append(f"{passed_over} files or rows make no record{tally.nested()}")
    return Look(
        source=source.model_copy(update={"label": found.label}),
        said=said,
        classes=dict(sorted(classes.items())),
        records=sum(classes.values()),
        bytes=size,
        title=_text(found.info.get("dataset_name")),
        description=_text(found.info.get("dataset_description")),
    )


def _text(value: object) -> str | None:
    return "".join(filter(str.isprintable, " ".join(value.split()))) or None if isinstance(value, str) else None


class Tally:
    """Counts the files that make no record, and knows what to say if none does."""

    def __init__(self, found: Plan) -> None:
        self._plan = found
        self._by_folder = isinstance(found, Folders)
        self._files = 0
        self._pictures = 0
        self._nested: list[str] = []
        self.passed_over = 0

    def choose(self, name: str) -> tuple[str, ...]:
        """The labels of the file."""
        self._files += 1
        labels = self._plan.labels(name)
        if not labels and not self._plan.describes(name):
            self.passed_over += 1
            self._pictures += is_picture(name)
            if len(self._nested) < 3 and is_packed(name):
                self._nested.append(name)
        return labels

    def nested(self) -> str:
        """The archives inside, in words."""
        return f", among them archives ({', '.join(map(repr, self._nested))})" if self._nested else ""

    def why(self) -> str:
        """Why there is no record."""
        if self._nested and not self._pictures:
            return f"it holds archives ({', '.join(map(repr, self._nested))}); unpack them first"
        if not self._by_folder:
            return "expected rows of labels.csv that name pictures"
        if self._pictures:
            return "expected pictures in class folders (<class>/<file>) or named by a label table"
        return f"found {self._files} files, none with a picture's suffix (.jpg, .png, ...)"


class SourceIds:
    """Gives each record a name of its own: the member's name, from its second time on with `#2` and so on."""

    def __init__(self) -> None:
        self._given = Seen()
        self._times: dict[str, int] = {}

    def give(self, name: str) -> str:
        """The name, or the first of `name#2`, `name#3`, ... that was not given before."""
        if self._given.add(name):
            return name
        times = self._times.pop(name, 1) + 1
        while not self._given.add(f"{name}#{times}"):
            times += 1
        if len(self._times) >= REMEMBERED:
            self._times.clear()  # counting starts over, which costs time alone
        self._times[name] = times
        return f"{name}#{times}"

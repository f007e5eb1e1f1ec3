"""Pictures whose class stands in a table: rows by the picture that they name, in a few bytes a row."""

from array import array
from collections.abc import Callable, Iterator

from pipelines.sources.columns import Naming, said_in
from pipelines.sources.members import Refused, is_picture, parts, picture_parts, plain
from pipelines.sources.survey import Survey
from pipelines.sources.tables import Table
from pipelines.sources.texts import Index


class Labelled:
    """See `layouts.Plan`. A picture with two labels makes two records; a row that says what another said makes none."""

    def __init__(
        self,
        table: Table,
        image: str,
        column: str,
        naming: Naming,
        survey: Survey,
        describes: Callable[[str], bool] | None = None,
        group: str | None = None,
    ) -> None:
        self.passed_over = 0
        self._table = table
        self._naming = naming
        self._survey = survey
        self._describes = describes
        self._keys = Index()
        self._classes = Index()
        self._first = array("L")  # class of each key
        self._more: dict[int, list[int]] = {}  # further classes of a key
        self._groups = Index()
        self._group = array("L")  # group of each key + 1; 0: none
        self._where = f"{survey.files.path}: {plain(table.name)}"
        for value, label, *said in table.rows((image, column) if group is None else (image, column, group)):
            self._take(value, label, said[0] if said else "")
        self._owners = array("L", bytes(self._first.itemsize * len(self._first)))  # place of the picture + 1; 0: missing
        self._find_owners()

    def labels(self, name: str) -> tuple[str, ...]:
        key = self._key_of(name)
        if key < 0 or not self._is_owner(key, name):
            return ()
        return self._labels_of(key)

    def group(self, name: str) -> str | None:
        key = self._key_of(name)
        return None if key < 0 else self._group_of(key)

    def missing(self) -> Iterator[tuple[str, str, str | None]]:
        base = self._naming.base or ()
        for key, text in enumerate(self._keys):
            if not self._owners[key]:
                yield from (("/".join((*base, text)), label, self._group_of(key)) for label in self._labels_of(key))

    def describes(self, name: str) -> bool:
        return self._describes(name) if self._describes else name == self._table.name

    def _take(self, value: str, label: str, group: str) -> None:
        said = said_in(value)
        if not label or not said or (self._naming.suffix and not is_picture(said)):  # .DS_Store rows are in published sets
            self.passed_over += 1
            return
        key, place = self._keys.place(said), self._classes.place(label)
        of_group = self._groups.place(group) + 1 if group else 0
        if key == len(self._first):
            self._first.append(place)
            self._group.append(of_group)
        elif of_group != self._group[key]:
            raise Refused(f"{self._where}: {said!r} stands in two groups; a picture belongs to one")
        elif place == self._first[key] or place in self._more.get(key, ()):
            self.passed_over += 1
        else:
            self._more.setdefault(key, []).append(place)

    def _find_owners(self) -> None:
        for place, name in enumerate(self._survey.names, start=1):
            key = self._key_of(name)
            if key < 0:
                continue
            if self._owners[key] and not self._is_owner(key, name):
                other = self._survey.names[self._owners[key] - 1]
                raise Refused(
                    f"{self._survey.files.path}: {plain(self._table.name)}: {self._keys[key]!r} may be {other!r} or {name!r}; "
                    f"write whole paths into the table"
                )
            self._owners[key] = self._owners[key] or place

    def _key_of(self, name: str) -> int:
        pieces = picture_parts(name)
        said = None if pieces is None else self._naming.key(pieces)
        return -1 if said is None else self._keys.find(said)

    def _is_owner(self, key: int, name: str) -> bool:
        if not self._owners[key]:
            return False
        owner = self._survey.names[self._owners[key] - 1]
        return owner == name or parts(owner) == parts(name)

    def _group_of(self, key: int) -> str | None:
        return self._groups[self._group[key] - 1] if self._group[key] else None

    def _labels_of(self, key: int) -> tuple[str, ...]:
        return tuple(self._classes[place] for place in (self._first[key], *self._more.get(key, ())))

"""What lies in an archive or a folder, learned in one walk over names and sizes: compact, and without the pictures."""

from array import array
from dataclasses import dataclass, field

from pipelines.sources.members import Files, Refused, is_table
from pipelines.sources.tables import may_be_table
from pipelines.sources.texts import Texts

MOST_TABLES = 10_000


@dataclass
class Survey:
    """The names and sizes in the order of reading, and the content of what may be a label table."""

    files: Files
    names: Texts = field(default_factory=Texts)
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    tables: dict[str, bytes] = field(default_factory=dict)
    left_out: int = 0  # tables that are too large, or too many


def survey(files: Files) -> Survey:
    """Walk once. Raises ValueError as the walk does, or if the names alone would fill the memory."""
    found = Survey(files)
    room = files.bounds.table_bytes

    def keep(name: str, size: int) -> bool:
        nonlocal room
        if not is_table(name) and not may_be_table(name):
            return False
        if size > room or len(found.tables) >= MOST_TABLES:
            found.left_out += 1
            return False
        room -= size
        return True

    for name, size, content in files.listing(keep):
        found.names.append(name)
        found.sizes.append(size)
        if content is not None:
            found.tables.setdefault(name, content)
        if found.names.size > files.bounds.table_bytes:
            raise Refused(f"{files.path}: the names of its files take more than {files.bounds.table_bytes} bytes")
    return found

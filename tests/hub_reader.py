"""The process of `hub_server.Reader`: reads sources named by lines of JSON and answers each with a line of JSON."""

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

from transfers import Counted

from pipelines.cards import Source
from pipelines.sources.huggingface import check, look, records
from pipelines.transfer import Pin, Place, Rules, TransferError


def read(question: dict[str, Any]) -> dict[str, Any]:
    """Records (digest for data), what the generator returned, the pins; or the error's type and text."""
    meter = Counted()
    resource.setrlimit(resource.RLIMIT_FSIZE, (question.get("largest_file", resource.RLIM_INFINITY), resource.RLIM_INFINITY))
    folder = Path(question["folder"])
    pinned = {name: Pin(*pin) for name, pin in question.get("pinned", {}).items()}
    place = Place(folder, folder / "downloads", rules=Rules(**question.get("rules", {})), pinned=pinned, meter=meter)
    try:
        source = Source(**question["source"])
        check(source)
        if question.get("look"):
            found = look(source, place)
            return found._asdict() | {"source": found.source.model_dump()}
        stream = records(source, place)
        rows: list[object] = []
        while True:
            try:
                record = next(stream)
            except StopIteration as end:
                return {
                    "records": rows,
                    "learned": end.value,
                    "came": place.came,
                    "expected": meter.expected,
                    "got": meter.came,
                }
            rows.append([record.source_id, record.label, hashlib.sha256(record.data).hexdigest(), record.fault])
    except (ValueError, OSError) as error:
        kind = next((kind for kind in (ValueError, TransferError) if isinstance(error, kind)), type(error))
        return {"error": kind.__name__, "text": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(read(json.loads(line))) + "\n")
        sys.stdout.flush()

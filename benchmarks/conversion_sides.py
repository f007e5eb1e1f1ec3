"""The sides of `benchmarks.conversion`, each run as a process: `python -m benchmarks.conversion_sides JOB ARCHIVE TARGET`.

Prints one JSON object: seconds, bytes of the members, and the peak of the process's memory in bytes.
"""

import io
import json
import os
import random
import resource
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

DISTINCT = 3000
CLASSES = 100


def ours(archive: Path, target: Path) -> int:
    """The download stage without a network."""
    from pipelines.cards import Label, Source
    from pipelines.files import atomic_folder
    from pipelines.raw import write_raw
    from pipelines.sources.archive import records
    from pipelines.transfer import Place

    source = Source(kind="archive", locator=str(archive), label=Label(layout="folders"))
    with atomic_folder(target / "raw") as folder:
        summary = write_raw(records(source, Place(target, target)), folder, {"kind": "archive", "locator": str(archive)})
    return summary.bytes


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file, as the standard library reads them."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                with packed.open(entry) as handle:
                    yield entry.filename, handle.read()
        return
    with tarfile.open(archive) as stream:
        for info in stream:
            content = stream.extractfile(info)
            if content is not None:
                yield info.name, content.read()


def to_a_tar(archive: Path, target: Path) -> int:
    """Copy the members into one tar."""
    size = 0
    with tarfile.open(target / "copy.tar", "w") as copy:
        for name, data in members(archive):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            copy.addfile(info, io.BytesIO(data))
            size += len(data)
    return size


def to_a_synced_tar(archive: Path, target: Path) -> int:
    """Copy the members into one tar that is on the disk at the end, as ours is."""
    size = to_a_tar(archive, target)
    with (target / "copy.tar").open("rb") as handle:
        os.fsync(handle.fileno())
    return size


def to_files(archive: Path, target: Path) -> int:
    """Copy the members into files, which nothing syncs."""
    size = 0
    for name, data in members(archive):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        size += len(data)
    return size


def pictures(sizes: str) -> list[tuple[str, bytes]]:
    """Suffix and content of the distinct pictures: JPEG and PNG of 2 to 10 KB, or JPEG of about 100 KB."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    made = []
    for number in range(DISTINCT if sizes == "small" else 200):
        kind = "PNG" if sizes == "small" and number % 2 else "JPEG"
        side = int(rng.integers(26, 58)) if kind == "PNG" else int(rng.integers(64, 150)) if sizes == "small" else 420
        image = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
        buffer = io.BytesIO()
        image.save(buffer, kind, quality=30 if sizes == "small" else 75)
        made.append((".png" if kind == "PNG" else ".jpg", buffer.getvalue()))
    return made


def make(archive: Path, count: int, sizes: str) -> None:
    """Write an archive of `count` pictures in class folders, the same bytes in every run."""
    made = pictures(sizes)
    draw = random.Random(0)
    chosen = ((f"set/class_{n % CLASSES:03d}/{n:07d}", *draw.choice(made)) for n in range(count))
    temporary = archive.with_name(f".{archive.name}.part")
    if archive.suffix == ".zip":
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED if sizes == "small" else zipfile.ZIP_STORED) as packed:
            for name, suffix, data in chosen:
                packed.writestr(zipfile.ZipInfo(name + suffix), data, packed.compression, 1)
    else:
        packing = {"mode": "w:gz", "compresslevel": 1} if archive.suffix == ".gz" else {"mode": "w"}
        with tarfile.open(temporary, **packing) as stream:
            for name, suffix, data in chosen:
                info = tarfile.TarInfo(name + suffix)
                info.size = len(data)
                stream.addfile(info, io.BytesIO(data))
    temporary.rename(archive)


SIDES: dict[str, Callable[[Path, Path], int]] = {
    "ours": ours,
    "to a tar": to_a_tar,
    "to a synced tar": to_a_synced_tar,
    "to files": to_files,
}


def main() -> None:
    """Do one job and say what it cost."""
    job, archive, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if job == "make":
        make(archive, int(sys.argv[4]), sys.argv[5])
        print("{}")
        return
    begun = time.monotonic()
    size = SIDES[job](archive, target)
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "bytes": size, "peak": peak}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

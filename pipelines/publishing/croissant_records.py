"""The record sets of a domain in Croissant: splits, classes, the index, and the pictures joined to it by key."""

from typing import Any

import polars as pl

from pipelines.publishing.described import Described
from pipelines.shards import INDEX_SCHEMA

TYPES: dict[type[pl.DataType], str] = {pl.String: "sc:Text", pl.Int32: "cr:Int32", pl.Int64: "cr:Int64"}
COLUMNS = {
    "key": "Name of the image in its shard, made from its content.",
    "class": "Number of its class.",
    "label": "Name of its class.",
    "split": "train, validation or test.",
    "shard": "The file that holds it.",
    "offset": "Where its bytes start in the shard.",
    "size": "How many bytes it has.",
    "unit": "Images with the same value are copies of one another or of one group: they belong into one split.",
}


def record_sets(domain: Described) -> list[dict[str, Any]]:
    """Ids begin with the domain's, so that those of several domains differ."""
    name = domain.card.id
    return [_splits(name, domain), _classes(name, domain), _index(name), _images(name)]


def _splits(name: str, domain: Described) -> dict[str, Any]:
    own = f"{name}/splits"
    fields = [_field(own, "name", "sc:Text", "Name of the split.")]
    data = [{f"{own}/name": split} for split in domain.splits]
    return _set(own, "name", "The splits.", fields, dataType="cr:Split", data=data)


def _classes(name: str, domain: Described) -> dict[str, Any]:
    own = f"{name}/classes"
    fields = [
        _field(own, "class", "sc:Integer", COLUMNS["class"]),
        _field(own, "name", "sc:Text", COLUMNS["label"]),
    ]
    data = [{f"{own}/class": number, f"{own}/name": label} for number, label in enumerate(domain.classes)]
    return _set(own, "class", "The classes.", fields, dataType="sc:Enumeration", data=data)


def _index(name: str) -> dict[str, Any]:
    own = f"{name}/index"
    known = {"class": f"{name}/classes/class", "split": f"{name}/splits/name"}
    fields = [
        _field(own, column, TYPES[kind], COLUMNS[column], source=_column(name, column))
        | ({"references": {"field": {"@id": known[column]}}} if column in known else {})
        for column, kind in INDEX_SCHEMA.items()
    ]
    return _set(own, "key", "One record an image: its class, its split and where it lies.", fields)


def _images(name: str) -> dict[str, Any]:
    own, files = f"{name}/images", {"@id": f"{name}/image-files"}
    named = {"fileSet": files, "extract": {"fileProperty": "filename"}, "transform": {"regex": r"^([^.]+)"}}
    content = {"fileSet": files, "extract": {"fileProperty": "content"}}
    # joined to the file, not to the record set above: mlcroissant 1.1.1 cannot join to a set that has joins of its own
    fields = [
        _field(own, "key", "sc:Text", COLUMNS["key"], source=named) | {"references": _column(name, "key")},
        _field(own, "image", "sc:ImageObject", "The picture.", source=content),
        *(
            _field(own, column, TYPES[INDEX_SCHEMA[column]], COLUMNS[column], source=_column(name, column))
            for column in ("class", "label", "split")
        ),
    ]
    return _set(own, "key", "The pictures with their class and split.", fields)


def _column(name: str, column: str) -> dict[str, Any]:
    return {"fileObject": {"@id": f"{name}/index.parquet"}, "extract": {"column": column}}


def _field(own: str, name: str, kind: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{own}/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        **more,
    }


def _set(own: str, key: str, description: str, fields: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": own,
        "name": own.partition("/")[2],
        "description": description,
        "key": {"@id": f"{own}/{key}"},
        "field": fields,
        **more,
    }

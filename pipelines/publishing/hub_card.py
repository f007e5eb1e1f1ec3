"""README.md as the Hugging Face Hub and package `datasets` read it: a configuration a domain, with explicit data files.

Without them the Hub guesses splits from words in paths. Without explicit features `datasets` infers the members of all samples
from the first five, and knows no class names.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from pipelines.licences import terms
from pipelines.publishing.described import Described
from pipelines.publishing.hub_licences import SPDX_LIST, hub_fields

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
JSON_MEMBER = {"class": "int64", "key": "string", "label": "string", "source_id": "string"}  # as pipelines/shards.py writes it


def domain_card(domain: Described) -> str:
    """The README of one domain's folder."""
    card = domain.card
    front = _front(card.title, [domain], "", card.homepage or SPDX_LIST)
    return _page(
        front,
        [f"# {card.title}", *_about(domain), _reading("FOLDER", card.id), "FOLDER stands for the folder that holds this file."],
    )


def collection_card(domains: Sequence[Described], title: str, place: str) -> str:
    """The README of several domains that lie in folders of their own below it; `place` is what a reader loads."""
    front = _front(title, domains, "{}/", "LICENSE.md")
    head = "| domain | subject | licence | images | classes |\n|---|---|---|---|---|"
    rows = [
        f"| [{_cell(d.card.title)}](#{d.card.id}) | {_cell(d.card.domain)} | {_cell(d.card.licence)} "
        f"| {d.stats['kept']} | {d.stats['classes']} |"
        for d in domains
    ]
    parts = [
        f"# {title}",
        "Each domain is a configuration of its own and carries a licence of its own.",
        "\n".join([head, *rows]),
        _reading(place, domains[0].card.id),
    ]
    for domain in domains:
        parts += [f'<a id="{domain.card.id}"></a>\n\n## {domain.card.title}', *_about(domain, "###")]
    return _page(front, parts)


def config(domain: Described, prefix: str) -> dict[str, Any]:
    """The `configs:` entry of a domain whose shards lie under `prefix`."""
    files = [{"split": name, "path": f"{prefix}{name}-*.tar"} for name in domain.splits]
    return {"config_name": domain.card.id, "data_files": files}


def dataset_info(domain: Described) -> dict[str, Any]:
    """The `dataset_info:` entry of a domain: features with class names, and the counts that `datasets` verifies."""
    stats = domain.stats
    names = {str(number): name for number, name in enumerate(domain.classes)}
    features: list[dict[str, Any]] = [
        {"name": "cls", "dtype": {"class_label": {"names": names}}},
        *({"name": suffix, "dtype": "image"} for suffix in stats["formats"]),
        {"name": "json", "struct": [{"name": name, "dtype": kind} for name, kind in JSON_MEMBER.items()]},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]
    splits = [
        {"name": name, "num_bytes": part["bytes"], "num_examples": part["images"]} for name, part in domain.splits.items()
    ]
    return {
        "config_name": domain.card.id,
        "features": features,
        "splits": splits,
        "download_size": stats["shard_bytes"],
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def _front(title: str, domains: Sequence[Described], prefix: str, link: str) -> dict[str, Any]:
    images = sum(domain.stats["kept"] for domain in domains)
    return {
        "pretty_name": title,
        **hub_fields([domain.card.licence for domain in domains], link),
        "task_categories": ["image-classification"],
        "tags": ["few-shot", "webdataset", *sorted({domain.card.domain for domain in domains})],
        "size_categories": [next((name for limit, name in SIZES if images < limit), "n>10M")],
        "configs": [config(domain, prefix.format(domain.card.id)) for domain in domains],
        "dataset_info": [dataset_info(domain) for domain in domains],
    }


def _about(domain: Described, heading: str = "##") -> list[str]:
    card, stats = domain.card, domain.stats
    rows = [f"| {name} | {part['images']} | {part['classes']} |" for name, part in domain.splits.items()]
    verdicts = [f"| {name} | {count} |" for name, count in stats["verdicts"].items() if count]
    noted = "".join(f" ({words})" for words in terms(card.licence))
    return [
        card.description.strip(),
        f"Subject: {card.domain}. Licence: {card.licence}{noted}.",
        "| split | images | classes |\n|---|---|---|\n" + "\n".join(rows),
        f"Splits are drawn by {stats['split_by']}.",
        "What became of the records that came in (`ledger.parquet` has the reason of each):",
        "| verdict | records |\n|---|---|\n" + "\n".join(verdicts),
        f"Source: {card.homepage}" if card.homepage else "",
        f"{heading} Citation\n\n{card.citation.strip()}" if card.citation else "",
    ]


def _reading(place: str, name: str) -> str:
    code = f'from datasets import load_dataset\n\n{name} = load_dataset("{place}", "{name}")'
    return (
        f"## Reading\n\n```python\n{code}\n```\n\nThe shards are WebDataset, and `croissant.json` describes them to machines."
    )


def _page(front: dict[str, Any], parts: Sequence[str]) -> str:
    head = "---\n" + yaml.safe_dump(front, sort_keys=False, allow_unicode=True) + "---"
    return "\n\n".join(part for part in [head, *parts] if part) + "\n"


def _cell(text: str) -> str:
    """Text that cannot end a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")

"""Croissant 1.1: `croissant.json` tells machines what a domain or a collection holds, and how to read every record of it.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. It is written
here, for package mlcroissant takes 1.4 s to import and brings pandas, scipy and rdflib; tests validate and read with it.
Equal input gives equal bytes: no clock is read.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from pipelines.cards import Card
from pipelines.publishing.croissant_records import record_sets
from pipelines.publishing.croissant_terms import CONFORMS_TO, CONTEXT
from pipelines.publishing.described import Described
from pipelines.publishing.hub_licences import address

NAME = "croissant.json"
TITLE = "Image domains curated with Tessera"
EDITION = "2026-11-25"  # what is published in this form counts from then on, where its card says no date
MIME = {".tar": "application/x-tar", ".parquet": "application/x-parquet"}
IMAGES = {"jpg": "image/jpeg", "png": "image/png"}


def domain_croissant(domain: Described) -> dict[str, Any]:
    """The description of one domain, to lie in its folder."""
    card = domain.card
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": card.title,
        "description": card.description.strip(),
        "license": _licences([domain]),
        "url": card.homepage or "README.md",
        "creator": _creator(card),
        "datePublished": card.published or EDITION,
        "citeAs": _citation(card),
        "version": _version([domain]),
        "keywords": ["image classification", "few-shot", card.domain],
        # with the folder's name, for mlcroissant keeps what it unpacks under this address alone: equal ones would be mixed up
        "distribution": _distribution(domain, f"../{card.id}/"),
        "recordSet": record_sets(domain),
    }


def collection_croissant(domains: Sequence[Described], title: str, page: str = "", base: str = "") -> dict[str, Any]:
    """The description of several domains, to lie above their folders.

    `page` is the address at which people read about them, `base` that of their files; relative ones where there is none.
    """
    subjects = sorted({domain.card.domain for domain in domains})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": title,
        "description": f"Curated image domains: {', '.join(domain.card.title for domain in domains)}.",
        "license": _licences(domains),
        "url": page or "README.md",
        "creator": [_creator(domain.card) for domain in domains],
        "datePublished": max(domain.card.published or EDITION for domain in domains),
        "citeAs": "\n".join(_citation(domain.card) for domain in domains),
        "version": _version(domains),
        "keywords": ["image classification", "few-shot", *subjects],
        "distribution": [part for domain in domains for part in _distribution(domain, f"{base}{domain.card.id}/")],
        "recordSet": [part for domain in domains for part in record_sets(domain)],
    }


def _distribution(domain: Described, prefix: str) -> list[dict[str, Any]]:
    name = domain.card.id
    data = [file for file in domain.files if file.endswith(tuple(MIME))]
    files = [
        {
            "@type": "cr:FileObject",
            "@id": f"{name}/{file}",
            "name": file,
            "contentUrl": f"{prefix}{file}",
            "contentSize": f"{domain.files[file].size} B",
            "encodingFormat": MIME[file[file.rindex(".") :]],
            "sha256": domain.files[file].sha256,
        }
        for file in data
    ]
    members = {
        "@type": "cr:FileSet",
        "@id": f"{name}/image-files",
        "name": "image-files",
        "description": "The pictures inside the shards.",
        "containedIn": [{"@id": f"{name}/{shard}"} for shard in domain.shards],
        "encodingFormat": [IMAGES[suffix] for suffix in domain.stats["formats"]],
        "includes": [f"*.{suffix}" for suffix in domain.stats["formats"]],
    }
    return [*files, members]


def _licences(domains: Sequence[Described]) -> list[Any]:
    """The address of each where SPDX has one, else its name or expression."""
    different = dict.fromkeys(domain.card.licence for domain in domains)
    return [address(licence) or {"@type": "sc:CreativeWork", "name": licence} for licence in different]


def _creator(card: Card) -> dict[str, str]:
    made_here = card.source.kind == "generated"
    name = "Tessera" if made_here else f"The authors of {card.title}"
    return {"@type": "sc:Organization", "name": name} | ({"url": card.homepage} if card.homepage else {})


def _citation(card: Card) -> str:
    return card.citation.strip() or f"{card.title}{f', {card.homepage}' if card.homepage else ''}"


def _version(domains: Sequence[Described]) -> str:
    """A semantic version whose build part names the content of shards and index."""
    digests = [domain.files[name].sha256 for domain in domains for name in (*domain.shards, "index.parquet")]
    return f"1.0.0+{hashlib.sha256(''.join(digests).encode()).hexdigest()[:12]}"

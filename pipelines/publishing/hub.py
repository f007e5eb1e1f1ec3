"""A publication on the Hugging Face Hub: one commit to a data set's repository, which is made where there is none."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.publishing.plan import Place, Plan
from pipelines.sources.huggingface.ask import WITH_OWNER
from pipelines.sources.huggingface.library import hub_errors, hub_utils
from pipelines.sums import SUMS, parse_sums

OF_THE_HUB = frozenset({".gitattributes", "README.md", "LICENSE", "LICENSE.md", SUMS})  # what a new repository may hold


def hub_place(name: str) -> Place:
    """Where `owner/name` would lie. Raises ValueError (one line) for what is no such id."""
    if not WITH_OWNER.fullmatch(name):
        raise ValueError(f"hub:{name}: expected hub:OWNER/NAME, of letters, digits, '.', '_' and '-'")
    page = f"{import_module('huggingface_hub.constants').ENDPOINT}/datasets/{name}"
    return Place(name, page, f"{page}/resolve/main/")


def push(plan: Plan, name: str, *, private: bool) -> str:
    """Commit a publication to `owner/name`, whole or not at all; returns the commit's address.

    Files of an earlier publication that are no more part of it are deleted in the same commit. Raises ValueError (one line)
    without a token, or if the repository holds files that no publication wrote; as `hub_errors` for what the Hub answers.
    """
    where = f"hub:{name}"
    token = hub_utils().get_token()
    if not token:
        raise ValueError(f"{where}: no token; set HF_TOKEN to one that may write there")
    hub: Any = import_module("huggingface_hub")
    api = hub.HfApi(token=token)
    with _errors(where):
        api.create_repo(name, repo_type="dataset", private=private or None, exist_ok=True)
        head = api.dataset_info(name).sha
        there = set(api.list_repo_files(name, repo_type="dataset", revision=head))
        former = _former(api, name, head) if SUMS in there else set()
        foreign = sorted(there - former - OF_THE_HUB)
        if foreign:
            raise ValueError(f"{where}: holds {foreign[0]}, which no publication wrote; name a new data set")
        paths: dict[str, str | bytes] = {path: str(source) for path, (source, _) in plan.copies.items()} | plan.texts
        gone = sorted((there & former) - paths.keys())
        operations = [
            *(hub.CommitOperationAdd(path, content) for path, content in sorted(paths.items())),
            *(hub.CommitOperationDelete(path) for path in gone),
        ]
        ids = ", ".join(domain.card.id for domain in plan.domains)
        made = api.create_commit(
            name, operations, commit_message=f"Publish {ids}"[:200], repo_type="dataset", parent_commit=head
        )
    return str(made.commit_url)


def _former(api: Any, name: str, head: str) -> set[str]:
    """The files of the publication that a repository holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = api.hf_hub_download(name, SUMS, repo_type="dataset", revision=head, local_dir=folder)
        return set(parse_sums(Path(path).read_text(encoding="utf-8")))


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """As `hub_errors`; an upload's errors come wrapped in a RuntimeError, and anything may stand where HF_ENDPOINT points."""
    with hub_errors(where):
        try:
            yield
        except RuntimeError as error:
            raise error.__cause__ or error from None
        except json.JSONDecodeError:
            raise ValueError(f"{where}: what answers is not the Hub, for it sends no JSON; look at HF_ENDPOINT") from None

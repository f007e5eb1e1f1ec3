"""Where the files of a model lie: in a folder of the user's, or in the cache of the Hub's client, which fetches them once.

Only configuration and safetensors are fetched: weights as pickle never reach this machine.
"""

import re
import sys
from pathlib import Path

from pipelines.secrets import clean

FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
)
MODEL_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
WHERE = "params.yaml: encoding.encoder"


def model_folder(setting: str, root: Path, *, offline: bool) -> tuple[Path, str]:
    """The folder of the model that `hub:ID`, `hub:ID@REVISION` or `hub:FOLDER` names, and its name with the commit.

    A folder starts with `/`, `.` or `~`, or is there, seen from `root`. Raises ValueError (one line) if it cannot be had.
    """
    asked = setting.removeprefix("hub:")
    folder = root / Path(asked).expanduser()
    if asked.startswith(("/", ".", "~")) or folder.is_dir():
        if not folder.is_dir():
            raise ValueError(f"{WHERE}: {folder}: no such folder; expected one that `save_pretrained` wrote")
        return folder.absolute(), setting
    name, _, revision = asked.partition("@")
    if not MODEL_ID.fullmatch(name):
        raise ValueError(f"{WHERE}: {asked!r} is no model: expected hub:OWNER/NAME, hub:OWNER/NAME@REVISION or hub:FOLDER")
    folder = _fetched(name, revision or None, offline)
    return folder, f"hub:{name}@{folder.name}"


def _fetched(name: str, revision: str | None, offline: bool) -> Path:
    """The folder of this commit in the Hub's cache; it has the commit's name."""
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    what = f"{WHERE}: model {name!r}" + (f" at {revision!r}" if revision else "")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES), local_files_only=offline))
    except errors.GatedRepoError:
        raise ValueError(f"{what}: its terms must be accepted on the Hub, and HF_TOKEN set to a token of yours") from None
    except errors.RevisionNotFoundError:
        raise ValueError(f"{what}: there is no such revision on the Hub") from None
    except errors.RepositoryNotFoundError:
        raise ValueError(f"{what}: there is none on the Hub, or it is private and HF_TOKEN is not set") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        why = "transfer.offline is set" if offline else "the Hub cannot be reached"
        raise ValueError(f"{what}: not on this machine, and {why}; fetch it once where there is a network") from None
    except Exception as error:  # the client's, httpx's or the disk's
        if isinstance(error, OSError) and error.errno:
            raise  # a full disk has a line of its own
        raise ValueError(f"{what}: cannot be fetched ({clean(error)})") from None

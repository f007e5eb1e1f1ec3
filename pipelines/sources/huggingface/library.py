"""Package `datasets` and the hub's client, as this program uses them: quiet, and with errors that a user can read.

Neither is imported before a source needs it (1.7 s). Neither sends telemetry, counts downloads or draws progress bars.
"""

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import pyarrow as pa

from pipelines.secrets import clean, hide
from pipelines.sources.members import Refused
from pipelines.transfer import TransferError

HUB = "huggingface_hub.utils"
AGAIN = (408, 425, 429)  # answers after which another attempt may help, beside 5xx
CRAFTED = (KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)  # metadata of a strange shape


@cache
def library() -> Any:
    """Package `datasets`, kept quiet."""
    import datasets

    modules: list[Any] = [import_module(name) for name in ("datasets.config", "huggingface_hub.constants", HUB)]
    config, constants, utils = modules
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True  # it keeps a cache of its own outside the downloads
    config.HF_UPDATE_DOWNLOAD_COUNTS = False
    datasets.disable_progress_bars()
    utils.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what it logs as an error, it raises too
    utils.logging.set_verbosity_error()
    hide(utils.get_token())  # it may stand in a file of the user's, where nobody else looks
    return datasets


def hub_utils() -> Any:
    """Module `huggingface_hub.utils`, which names what it offers in a way that type checkers do not see."""
    library()
    return import_module(HUB)


@contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """Turn what the hub's client raises into TransferError (try again) or Refused (one line); other errors pass."""
    httpx = hub_utils().httpx
    from datasets.exceptions import DatasetsError
    from huggingface_hub import errors

    try:
        yield
    except TransferError:
        raise
    except errors.OfflineModeIsEnabled:
        raise Refused(f"{where}: not here, and HF_HUB_OFFLINE forbids asking the hub") from None
    except errors.GatedRepoError:
        raise Refused(
            f"{where}: gated; accept its terms on the hub's page and set HF_TOKEN to a token of that account"
        ) from None
    except errors.RepositoryNotFoundError:
        raise Refused(f"{where}: no such data set on the hub, or a private one; check the id, or set HF_TOKEN") from None
    except errors.RevisionNotFoundError:
        raise Refused(f"{where}: the hub does not have this revision any more; update, or name another") from None
    except errors.HfHubHTTPError as error:
        raise _answered(where, error.response.status_code) from None
    except httpx.HTTPError as error:
        raise TransferError(f"{where}: {type(error).__name__}{_cause(error)}") from None
    except (DatasetsError, errors.EntryNotFoundError, errors.HFValidationError) as error:
        raise Refused(f"{where}:{_cause(error)}") from None
    except FileNotFoundError as error:
        if error.errno is not None:
            raise
        raise Refused(f"{where}: holds no files that package datasets reads{_cause(error)}") from None
    except (ConnectionError, TimeoutError) as error:
        raise TransferError(f"{where}: {type(error).__name__}{_cause(error)}") from None
    except RuntimeError as error:
        if "scripts are no longer supported" in str(error):
            raise Refused(
                f"{where}: needs a Python script of its own, which is not run here; "
                f"try option revision: refs/convert/parquet, else download the pictures and use another kind"
            ) from None
        raise


def _answered(where: str, status: int) -> Exception:
    if status in AGAIN or status >= 500:
        return TransferError(f"{where}: the hub answers {status}")
    hint = {401: "; check HF_TOKEN", 403: "; it refuses access, check HF_TOKEN", 404: "; not found"}
    return Refused(f"{where}: the hub answers {status}{hint.get(status, '')}")


@contextmanager
def damage(where: str) -> Iterator[None]:
    """As `hub_errors`; also turn what damaged or crafted files make their readers raise into a ValueError of one line.

    Trouble of the disk passes.
    """
    from datasets.exceptions import DatasetsError

    try:
        with hub_errors(where):
            yield
    except (TransferError, Refused):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(where, error) from None
    except (
        pa.ArrowException,
        ValueError,
        DatasetsError,
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        StopIteration,
        *CRAFTED,
    ) as error:
        raise _damaged(where, error) from None


def _damaged(where: str, error: Exception) -> ValueError:
    return ValueError(f"{where}: not readable{_cause(error)}; get it again (delete the file if it is a download)")


def _cause(error: Exception) -> str:
    """` (the library's words)`, on one line, without addresses' queries and without secrets."""
    return f" ({clean(error)[:200]})"

"""What lies in the object store beside an OpenML data set's table, asked through the package's own client, minio."""

import os
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import certifi
import minio
import urllib3
from requests.utils import get_environ_proxies, select_proxy

from pipelines.secrets import clean
from pipelines.sources.openml.files import Remote
from pipelines.sources.openml.package import AGAIN, patience
from pipelines.transfer import Place, TransferError
from pipelines.transfer.locators import shown
from pipelines.transfer.retry import check_deadline

LATER = [*AGAIN, 500, 502, 503, 504]
MOST = 200_000  # files of one data set


def list_files(number: int, table: str, place: Place) -> list[Remote]:
    """All files in the folder of a data set's table, by name.

    Raises ValueError (one line) if there is none or the store refuses, TransferError where another attempt may help.
    """
    where = f"OpenML data set {number}"
    base, bucket, prefix = _folder_of(table, where)
    found: list[Remote] = []
    try:
        client = minio.Minio(urlsplit(base).netloc, secure=base.startswith("https:"), http_client=_pool(table, place))
        for entry in client.list_objects(bucket, prefix=prefix, recursive=True):
            check_deadline(place)
            key = entry.object_name or ""
            if key.endswith("/"):
                continue
            if len(found) == MOST:
                raise ValueError(f"more than {MOST} files")
            md5 = (entry.etag or "").strip('"').lower()
            plain = len(md5) == 32 and "-" not in md5  # what came in parts has another kind of ETag
            found.append(Remote(key.removeprefix(prefix), base + quote(key), entry.size or 0, md5 if plain else None))
    except (urllib3.exceptions.HTTPError, minio.error.ServerError) as error:
        cause = getattr(error, "reason", None) or error  # what stands behind an exceeded number of retries
        raise TransferError(f"{shown(base + prefix)}: {clean(cause)[:200]}") from None
    except minio.error.S3Error as error:
        answer = " ".join(f"{error.code}: {error.message}".split())
        raise ValueError(f"{where}: {shown(base + prefix)}: the object store answers {answer}") from None
    except (minio.error.MinioException, ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{where}: {shown(base + prefix)}: its files cannot be listed ({clean(error)[:200]})") from None
    return sorted(found)


def _folder_of(table: str, where: str) -> tuple[str, str, str]:
    """The bucket's URL and name, and the prefix of all that lies in the table's folder."""
    try:
        parts = urlsplit(table)
        _, bucket, *folders, _ = parts.path.split("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or not bucket or "$" in parts.netloc:
            raise ValueError  # `${NAME}` in a server's answer must not ask for our environment
    except ValueError:
        raise ValueError(f"{where} holds no images/ folder: OpenML names no place in its object store for it") from None
    return f"{parts.scheme}://{parts.netloc}/{quote(bucket)}/", bucket, "".join(f"{folder}/" for folder in folders)


def _pool(url: str, place: Place) -> urllib3.PoolManager:
    """Connections as minio makes them, with the limits of the rules and the proxy of the environment."""
    connect, read = patience(place)
    given: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=connect, read=read),
        "retries": urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=5, status_forcelist=LATER),
        "ca_certs": os.environ.get("SSL_CERT_FILE") or certifi.where(),
    }
    proxy = select_proxy(url, get_environ_proxies(url))
    return urllib3.ProxyManager(proxy, **given) if proxy else urllib3.PoolManager(**given)

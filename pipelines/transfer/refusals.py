"""What an object store's client raises, in words: whether another attempt may help, else what the user can do."""

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, ResponseStreamingError, SSLError

from pipelines.secrets import clean
from pipelines.transfer.request import Denied
from pipelines.transfer.retry import Unready

AGAIN = ("SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException")
PASSING = (HTTPClientError, ConnectionError, ResponseStreamingError, aiohttp.ClientError, OSError)
WORDS = {
    "NoSuchBucket": "no such bucket",
    "NoSuchKey": "no such object",
    "NoSuchVersion": "no such version of the object",
    "404": "no such object or bucket",
    "403": "no access, or no such object; check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, ~/.aws/credentials)",
    "401": "it asks for credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, ~/.aws/credentials)",
    "InvalidAccessKeyId": "the store does not know this access key",
    "SignatureDoesNotMatch": "the secret key does not go with the access key",
    "ExpiredToken": "the session token is out of date; get new credentials",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "InvalidObjectState": "the object is archived; restore it first",
}


class Changed(Exception):
    """An answer is of another version of the object than the one before."""


def refusal(error: Exception) -> Exception:
    """The error to raise instead: Unready where trying again may help, Changed, Denied where the user must act."""
    answered = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(answered, ClientError):
        return _answered(answered)
    if isinstance(error, SSLError):
        return Denied("the server's certificate is not to be trusted")
    if isinstance(error, PASSING):
        return Unready(f"{type(error).__name__} ({clean(error)[:200]})")
    if isinstance(error, (BotoCoreError, ValueError)):
        return Denied(f"the settings of AWS on this machine do not serve: {clean(error)[:300]}")
    return error


def _answered(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    name = "" if code == str(status) else f" {code}"
    if status == 412:
        return Changed()
    if code in AGAIN or status in (408, 425, 429) or status >= 500:
        return Unready(f"the store answers {status}{name}", status)
    words = WORDS.get(code) or WORDS.get(str(status)) or clean(error)[:300]
    return Denied(f"{words} (the store answers {status}{name})", status)

"""What secrets look like: names of variables and of query parameters that hold one, and forms of tokens."""

import re

KNOWN = re.compile(
    r"(?:\w*_)?(?:(?:ACCESS_?|AUTH_?|SESSION_?)?TOKEN|SECRET|PASSWORD|PASSWD|(?:API|ACCESS|SECRET|PRIVATE)_?KEY)(?:_ID)?"
    r"|(?:HF|HUGGING_?FACE|AWS|S3|OPENML|KAGGLE|GITHUB|GH|AZURE|GOOGLE|GCS)_\w*(?:TOKEN|KEY|SECRET|PASSWORD)\w*(?<!_PATH)(?<!_FILE)",
    re.IGNORECASE,
)
SECRET_QUERY = re.compile(
    r"(?i)(?:^|[_.-])(?:key|secret|passwd|pwd|pass|auth|authorization|sig|credential|jwt|session(?:[_-]?id)?)s?$"
    r"|token$|password|signature$|(?:api|auth|access|secret|private)[_-]?key(?:[_-]?id)?$|^x-amz-|^x-goog-"
)
QUERY = re.compile(r"(?P<before>[?&;](?P<name>[^\s=&;?\"'<>]{1,80})=)(?P<value>[^\s&;\"'<>]+)")
URL = re.compile(r"://(?:[^\s/?#\"<>]*@)?([^\s?#\"'<>]*)(\?[^\s#\"'<>]*)?(#[^\s=\"'<>]*=[^\s\"'<>]*)?")
# each with words of which its matches hold one, in small letters: most texts hold none, and looking for them is cheap
_SHAPES = [
    (
        ("authorization", "cookie", "x-"),
        r"(?i)((?:authorization|cookie|\bx-[a-z-]{0,40}(?:token|key))(?:['\"]\s*,|['\"]?\s*[:=])\s*(?:b(?=['\"]))?['\"]?)[^'\"\r\n]+",
    ),
    (
        ("token", "secret", "passw", "key", "signature", "credential"),
        r"(?i)((?:token|secret|passw(?:or)?d|(?:api|access|secret|private)[_-]?key(?:[_-]?id)?|signature(?:provided)?|credential)"
        r"['\"]?\s*[:=>]\s*(?:b(?=['\"]))?['\"]?)[^\s'\"&,;<>(){}\[\]]{6,}",
    ),
    (("bearer",), r"(?i)(\bbearer\s+)[\w.~+/=-]{6,}"),
    (("basic",), r"(\b[Bb]asic\s+)(?=[A-Za-z0-9+/]*(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9+/=]{6,}"),
    (("hf_",), r"()(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}"),
    (("akia", "asia"), r"()(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{12,}"),
    (("gh", "glpat"), r"()(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-)[\w-]{16,}"),
    (("eyj",), r"()(?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
]
SHAPES = [(words, re.compile(pattern)) for words, pattern in _SHAPES]

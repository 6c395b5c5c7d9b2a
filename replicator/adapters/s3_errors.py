"""What S3's answers and botocore's exceptions mean: an answer, a fault that passes, or one that doesn't."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own, and no subclass of Python's)
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as TransportError

from replicator.errors import ObjectMissing, StoreMisconfigured, StoreUnavailable

DRIVER_ERRORS = (BotoCoreError, ClientError, ResponseParserError, TransportError)
"""All that a call of botocore raises for reasons outside this process.

urllib3's own come through where an error's text breaks off: newer versions of botocore wrap them.
"""

_PASSING_ERRORS = (
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    ResponseParserError,
    TransportError,
)
_PASSING_STATUS = {408, 409, 429}  # 409 is ConditionalRequestConflict: another's write was under way
_PASSING_CODES = {"IncompleteBody", "RequestTimeout", "SlowDown", "Throttling"}

_ACCESS = (
    "grant s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket; "
    "without s3:ListBucket a missing object is denied as well"
)
_REGION = "set `s3.region` to the bucket's own, and `s3.endpoint` if it isn't on AWS"
_CONDITIONS = "use a service with conditional writes, or an archive in a directory"
_CREDENTIALS = (
    "set `s3.access_key` and `s3.secret_key`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a role"
)
_HINTS = {
    "AccessDenied": _ACCESS,
    "AuthorizationHeaderMalformed": _REGION,
    "ExpiredToken": "renew the credentials of this session",
    "InvalidAccessKeyId": "correct the access key id, which this service doesn't know",
    "InvalidToken": "correct the session token, which belongs to other credentials",
    "NoSuchBucket": "create the bucket, or correct its name or `s3.endpoint`",
    "NotImplemented": _CONDITIONS,
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": "correct the secret key; if it is right, a proxy on the way alters requests",
}
_HINTS_BY_STATUS = {301: _REGION, 307: _REGION, 403: _ACCESS, 404: _HINTS["NoSuchBucket"], 501: _CONDITIONS}


class PreconditionFailed(Exception):
    """S3's 412: the condition of a write didn't hold, or an earlier attempt of the same write has won."""


def translated(error: Exception, where: str) -> Exception:
    """Return what one of `DRIVER_ERRORS` means for the object *where*: an s3:// URL.

    That is an `ObjectMissing` or a `PreconditionFailed`, which are answers; a `StoreUnavailable`, which may
    pass; else a `StoreMisconfigured`.
    """
    if isinstance(error, ClientError):
        return _answer(error, where)
    message = f"{where}: {_one_line(str(error))}"
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return StoreMisconfigured(message, hint="name the service's CA in AWS_CA_BUNDLE")
    if isinstance(error, _PASSING_ERRORS):
        return StoreUnavailable(message, hint="check `s3.endpoint`, and the network on the way to it")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StoreMisconfigured(message, hint=_CREDENTIALS)
    return StoreMisconfigured(message, hint="correct the `s3` settings or AWS's own")


def _answer(error: ClientError, where: str) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchKey":
        return ObjectMissing(where)
    if status == 412:
        return PreconditionFailed(where)
    message = f"{where}: {_one_line(str(error)).removesuffix(': None')}"  # Ceph gives a code, and no words
    if _passes(code, status) or _is_cut(error, code, status):
        return StoreUnavailable(message, hint="wait; the service is overloaded or ill")
    hint = _HINTS.get(code) or _HINTS_BY_STATUS.get(status, "see the documentation of the service")
    return StoreMisconfigured(message, hint=hint)


def _passes(code: str, status: int) -> bool:
    return code in _PASSING_CODES or status in _PASSING_STATUS or (status >= 500 and status != 501)


def _is_cut(error: ClientError, code: str, status: int) -> bool:
    """Tell whether the service's words came only in part: the driver then takes the status for the code."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return code == str(status) and "xml" in headers.get("content-type", "")


def _one_line(text: str) -> str:
    return " ".join(text.split())

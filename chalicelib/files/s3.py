"""
Report files on Amazon S3: written in parts as they come, handed over by presigned links.

Beside a file that is being prepared lies an empty object that says so, with the suffix `.preparing`. The bucket's
lifecycle rule deletes both after some days, and parts of uploads that were never completed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.instants import SECOND, Instant, to_instant
from chalicelib.files.report_files import (
    CONTENT_TYPE,
    LINK_LIFETIME,
    PREPARING_MAX,
    FileState,
    FilesUnavailableError,
    Link,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PREFIX: Final = "reports/"
PART_BYTES: Final = 8 * 1024 * 1024
"""Of the 10,000 parts that an upload may have; each but the last must have 5 MiB at least."""

_MARK: Final = ".preparing"
_NOT_THERE: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class S3ReportFiles:
    """Keeps files in *bucket* through a botocore client of `s3`; *clock* is the real one."""

    def __init__(self, client: Any, bucket: str, clock: Callable[[], Instant], part_bytes: int = PART_BYTES) -> None:
        """Use *client*."""
        self._client = client
        self._bucket = bucket
        self._clock = clock
        self._part_bytes = part_bytes

    def state(self, key: str) -> FileState | None:
        """Look for the file, and then for the mark that it is being prepared."""
        if self._written_at(key) is not None:
            return FileState.READY
        announced_at = self._written_at(key + _MARK)
        if announced_at is None or announced_at <= self._clock() - PREPARING_MAX:
            return None
        return FileState.PREPARING

    def announce(self, key: str) -> None:
        """Put the mark."""
        self._call("put_object", key + _MARK, Body=b"")

    def withdraw(self, key: str) -> None:
        """Delete the mark."""
        self._call("delete_object", key + _MARK)

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Upload a file part by part, holding one part at a time."""
        upload = self._call("create_multipart_upload", key, ContentType=CONTENT_TYPE)["UploadId"]
        try:
            parts = [
                {"PartNumber": number, "ETag": self._upload_part(key, upload, number, part)}
                for number, part in enumerate(_parts(chunks, self._part_bytes), start=1)
            ]
            self._call("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            self._call("abort_multipart_upload", key, UploadId=upload)
            raise
        self.withdraw(key)

    def link(self, key: str, download_name: str) -> Link:
        """Sign a request for the file; it lasts as long as the credentials of this process do, at the longest."""
        parameters = {
            "Bucket": self._bucket,
            "Key": PREFIX + key,
            "ResponseContentDisposition": f'attachment; filename="{download_name}"',
            "ResponseContentType": CONTENT_TYPE,
        }
        expires_at = self._clock() + LINK_LIFETIME
        try:
            url = self._client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=LINK_LIFETIME // SECOND
            )
        except BotoCoreError as error:
            raise FilesUnavailableError(str(error)) from error
        return Link(str(url), expires_at)

    def _upload_part(self, key: str, upload: str, number: int, part: bytes) -> str:
        return str(self._call("upload_part", key, UploadId=upload, PartNumber=number, Body=part)["ETag"])

    def _written_at(self, key: str) -> Instant | None:
        try:
            return to_instant(self._client.head_object(Bucket=self._bucket, Key=PREFIX + key)["LastModified"])
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise FilesUnavailableError(str(error)) from error
        except BotoCoreError as error:
            raise FilesUnavailableError(str(error)) from error

    def _call(self, operation: str, key: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                Bucket=self._bucket, Key=PREFIX + key, **parameters
            )
        except (BotoCoreError, ClientError) as error:
            raise FilesUnavailableError(str(error)) from error
        return answer


def _parts(chunks: Iterable[bytes], part_bytes: int) -> Iterator[bytes]:
    """Join *chunks* to parts of *part_bytes* or little more; the last may be smaller, and there is one at least."""
    waiting = bytearray()
    number = 0
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= part_bytes:
            yield bytes(waiting)
            waiting.clear()
            number += 1
    if waiting or not number:
        yield bytes(waiting)

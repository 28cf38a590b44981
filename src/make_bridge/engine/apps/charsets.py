"""Bytes to text by a charset a stranger names.

Used for answers of servers (`http_response`) and for parts of mail. Python knows codecs that are no text
encodings, some of them dangerous to run on data (zlib, rot13, idna), so only plain text encodings are
believed, and what does not fit is replaced rather than refused.
"""

import re
from typing import Final

_BELIEVED: Final = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|(?:iso-?8859|windows|cp)-?\d{1,4}(?:-\d{1,2})?|latin-?1"
    r"|shift[_-]jis|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5|koi8-[ru]|iso-2022-(?:jp|kr)",
    re.IGNORECASE,
)
_DEFAULT: Final = "utf-8"


def decode(body: bytes, charset: str) -> str:
    """Return the text, without a byte order mark."""
    name = charset if _BELIEVED.fullmatch(charset) else _DEFAULT
    try:
        return body.decode(name, "replace").removeprefix("\ufeff")
    except LookupError:
        return body.decode(_DEFAULT, "replace").removeprefix("\ufeff")

"""Detects files of another format than UTF-8 text: archives, spreadsheets, other encodings."""

_UNPACK = "unpack it and use the file inside"
_EXPORT = "save the sheet as CSV (UTF-8, separated by commas)"
_ENCODE = "save it as UTF-8, for example by `iconv -f UTF-16 -t UTF-8`"
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"\x1f\x8b", "compressed by gzip", "decompress it once (`gunzip`)"),
    (b"BZh", "compressed by bzip2", "decompress it (`bunzip2`), or compress it by gzip instead"),
    (b"\xfd7zXZ\x00", "compressed by xz", "decompress it (`unxz`), or compress it by gzip instead"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it (`unzstd`), or compress it by gzip instead"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _EXPORT),
    (b"PAR1", "a Parquet file", "export it as CSV"),
    (b"PGDMP", "a dump of PostgreSQL", "export the table as CSV by `\\copy TABLE TO FILE CSV HEADER`"),
    (b"SQLite format 3\x00", "a SQLite database", "export the table as CSV"),
    (b"%PDF", "a PDF", "export the data as CSV"),
    # Before UTF-16, because its byte order mark is a prefix of this one.
    (b"\xff\xfe\x00\x00", "UTF-32 text", _ENCODE.replace("16", "32")),
    (b"\x00\x00\xfe\xff", "UTF-32 text", _ENCODE.replace("16", "32")),
    (b"\xff\xfe", "UTF-16 text", _ENCODE),
    (b"\xfe\xff", "UTF-16 text", _ENCODE),
)
_WORKBOOK_ENTRIES = (b"[Content_Types].xml", b"xl/", b"_rels/")

BYTES_NEEDED = 1024
"""Number of bytes at the start of a file that ``other_format`` needs."""


def other_format(start: bytes) -> str | None:
    """Describe the format of a file that is not UTF-8 text, and what to do; None when it may be UTF-8 text.

    Args:
        start: The first ``BYTES_NEEDED`` bytes of the file, or all of a shorter one.
    """
    start = start[:BYTES_NEEDED]
    if start.startswith(b"PK\x03\x04") and any(entry in start for entry in _WORKBOOK_ENTRIES):
        return f"is an Excel workbook (.xlsx): {_EXPORT}"
    for signature, name, advice in _SIGNATURES:
        if start.startswith(signature):
            return f"is {name}: {advice}"
    if start[257:262] == b"ustar":
        return f"is a tar archive: {_UNPACK}"
    zeros = start.count(0)
    if zeros and zeros >= len(start) // 4 and (not any(start[::2]) or not any(start[1::2])):
        return f"is UTF-16 text: {_ENCODE}"
    return None

"""Reading CSV: valid lines are read exactly, and each invalid line is refused with its number."""

import bz2
import gzip
import io
import lzma
import math
import re
import string
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.tools.csv_reader import ROWS_OF_A_BLOCK, Refusals, read_csv

KNOWN = ("Oil_P", "Cool_T", "Eng_RPM_variation_percentage")
HEADER = "timestamp,motor_pump,Oil_P,Eng_RPM_variation_percentage\n"
GOOD = "2025-01-01T00:00:00Z,ITU-415,480.5,\n"


def read(path: Path, content: str | bytes) -> tuple[pd.DataFrame, Refusals]:
    """The valid rows and the refused lines."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refusals = Refusals()
    frames = list(read_csv(path, KNOWN, refusals))
    return pd.concat(frames) if frames else pd.DataFrame(), refusals


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "telemetry.csv"


def test_rows_are_read_unchanged(path: Path) -> None:
    content = (
        "\ufeffmotor_pump,Eng_RPM_variation_percentage,timestamp,Oil_P,id\r\n"
        "ITU-415,inf,2025-03-01 10:00:00.250+03:00,-1,ignored\r\n"
        '"ITU-415",,2025-03-01T07:00:10Z," 4.5e2 ",\r\n'
        "\r\n"
        "MOTOBOMBA-007,-Infinity,2025-03-01T07:00:10+00:00,,\r\n"
    )
    frame, refusals = read(path, content)
    assert refusals.counts.total() == 0
    assert list(frame) == ["timestamp", "motor_pump", "Eng_RPM_variation_percentage", "Oil_P"]
    assert (
        frame["timestamp"].to_numpy().tolist()
        == np.array(
            ["2025-03-01T07:00:00.250", "2025-03-01T07:00:10", "2025-03-01T07:00:10"], "datetime64[us]"
        ).tolist()
    )
    assert frame["motor_pump"].tolist() == ["ITU-415", "ITU-415", "MOTOBOMBA-007"]
    np.testing.assert_array_equal(frame["Oil_P"], [-1, 450, math.nan])
    np.testing.assert_array_equal(frame["Eng_RPM_variation_percentage"], [math.inf, math.nan, -math.inf])


def test_gzip_is_detected_by_content_and_rows_are_read_in_blocks(path: Path) -> None:
    rows = ROWS_OF_A_BLOCK + 1
    path.write_bytes(gzip.compress((HEADER + GOOD * rows).encode()))
    refusals = Refusals()
    assert [len(frame) for frame in read_csv(path, KNOWN, refusals)] == [ROWS_OF_A_BLOCK, 1]


NOT_A_NUMBER = ("NAN", "nan", "None", "'N/A'", "null", "-", "1_000", "0x1F", "1.2.3", "inf", "1e999", "4 5", "\u0663")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        *(
            (f"2025-01-01T00:00:00Z,ITU-415,{text},", f"Oil_P is not a finite number .*: {re.escape(ascii(text))}$")
            for text in NOT_A_NUMBER
        ),
        ('2025-01-01T00:00:00Z,ITU-415,"4,5",', "Oil_P is not a finite number .*: '4,5'"),
        ("2025-01-01T00:00:00Z,ITU-415,,NaN", "Eng_RPM_variation_percentage is not a finite number"),
        ("2025-01-01T00:00:00,ITU-415,480,", "timestamp has no time zone"),
        ("2025-02-30T00:00:00Z,ITU-415,480,", "timestamp cannot be read"),
        ("0001-01-01T00:00:00+23:00,ITU-415,480,", "timestamp is before 1970"),
        ("0001-01-01T00:00:00Z,ITU-415,480,", "timestamp is before 1970"),
        ("0044-03-15 00:00:00+00 BC,ITU-415,480,", "timestamp is before 1970"),
        ("1970-01-01T00:00:00+01:00,ITU-415,480,", "timestamp is before 1970"),
        ("9999-12-31T23:00:00-05:00,ITU-415,480,", "timestamp cannot be read"),
        (",ITU-415,480,", r"timestamp cannot be read .*: ''$"),
        ("2025-01-01T00:00:00Z,,480,", "motor_pump must be at most 63 letters"),
        ("2025-01-01T00:00:00Z,ITU 415,480,", "motor_pump must be at most 63 letters"),
        ("2025-01-01T00:00:00Z,weights-1,480,", "motor_pump must not contain 'weights'"),
        ("2025-01-01T00:00:00Z,PUMP.h5,480,", r"motor_pump must not contain '\.h5'"),
        ("2025-01-01T00:00:00Z,ITU-415,480", "wrong number of fields: 3 instead of 4"),
        ("2025-01-01T00:00:00Z,ITU-415,480,,", "wrong number of fields: 5 instead of 4"),
        ('2025-01-01T00:00:00Z,ITU-415,480,"', "a quote is not closed"),
        ('2025-01-01T00:00:00Z,ITU-415,"480"1,', "not CSV: text follows a closing quote"),
        ('2025-01-01T00:00:00Z,ITU-415,"480\n",', "a quoted field runs over 2 lines"),
        ('2025-01-01T00:00:00Z,ITU-415,"480\n\n\n",', "a quoted field runs over 4 lines"),
        ("yesterday,ITU-415,NAN,", "timestamp cannot be read"),
        ("2025-01-01T00:00:00Z,ITU-415,480\udcff,", "Oil_P is not a finite number"),
    ],
)
def test_an_invalid_line_is_refused_with_its_number_and_value(path: Path, line: str, told: str) -> None:
    frame, refusals = read(path, (HEADER + GOOD + line + "\n" + GOOD).encode(errors="surrogateescape"))
    assert len(frame) == 2
    assert [refusal.line for refusal in refusals.first] == [3]
    assert refusals.counts.total() == 1
    assert re.search(told, refusals.first[0].reason)


def test_all_refusals_are_counted_by_kind_and_the_first_are_listed(path: Path) -> None:
    content = HEADER + (GOOD + "2025-01-01T00:00:00Z,ITU-415,NAN,\n") * 30 + "never,ITU-415,1,\n"
    _, refusals = read(path, content)
    assert refusals.counts.total() == 31
    assert [refusal.line for refusal in refusals.first] == list(range(3, 43, 2))
    assert refusals.summary().startswith("31 lines are refused (30 x Oil_P is not a finite number")


def test_the_message_about_one_refused_line_is_singular(path: Path) -> None:
    _, refusals = read(path, HEADER + GOOD + "never,ITU-415,1,\n")
    assert refusals.summary().startswith("1 line is refused (1 x timestamp cannot be read")


def test_an_open_quote_refuses_only_its_own_line(path: Path) -> None:
    content = HEADER + GOOD + '2025-01-01T00:00:00Z,ITU-415,"480,\n' + GOOD * 2222
    frame, refusals = read(path, content)
    assert len(frame) == 2223
    assert [refusal.line for refusal in refusals.first] == [3]


def test_consecutive_lines_with_open_quotes_are_refused_by_number(path: Path) -> None:
    opened = '2025-01-01T00:00:00Z,ITU-415,"480,\n'
    frame, refusals = read(path, HEADER + opened * 3 + GOOD + opened + "2025-01-01T00:00:00Z,ITU-415\n" + GOOD + opened)
    assert len(frame) == 2
    assert [refusal.line for refusal in refusals.first] == [2, 3, 4, 6, 7, 9]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "is empty"),
        ("\n", "line 1 must name the columns"),
        ("timestamp,Oil_P\n", "motor_pump is missing"),
        ("timestamp,motor_pump,Oil_P,Oil_P\n", "Oil_P is repeated"),
        ("timestamp,motor_pump,oil_p\n", "'oil_p' is probably meant to be Oil_P"),
        ("Timestamp,Motor-Pump,Oil_P\n", "'Timestamp' is probably meant to be timestamp; 'Motor-Pump' is probably"),
        ("timestamp,motor_pump, Oil_P\n", "' Oil_P' is probably meant to be Oil_P"),
        ("timestamp,motor_pump,Oil_T\n", "'Oil_T' is not in the table"),
        ('timestamp,motor_pump,"Oil_P\n', "line 1: a quote is not closed"),
        ("timestamp;motor_pump;Oil_P\n", "separated by semicolons, not by commas"),
        ("timestamp\tmotor_pump\tOil_P\n", "separated by tabs, not by commas"),
        ("timestamp|motor_pump|Oil_P\n", "separated by vertical bars, not by commas"),
    ],
)
def test_unknown_or_missing_columns_refuse_the_file(path: Path, header: str, told: str) -> None:
    with pytest.raises(TrainingError) as refusal:
        read(path, header)
    assert refusal.value.reason == "DataUnavailable"
    assert told in refusal.value.message


def _zipped(name: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, HEADER + GOOD)
    return archive.getvalue()


def _tar() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.addfile(tarfile.TarInfo("telemetry.csv"), io.BytesIO())
    return archive.getvalue()


WHOLE = (HEADER + GOOD).encode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (WHOLE.decode().encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        (WHOLE.decode().encode("utf-16-le"), "is UTF-16 text: save it as UTF-8"),
        (WHOLE.decode().encode("utf-16-be"), "is UTF-16 text: save it as UTF-8"),
        (WHOLE.decode().encode("utf-32"), "is UTF-32 text: save it as UTF-8"),
        (_zipped("telemetry.csv"), "is a zip archive: unpack it"),
        (_zipped("[Content_Types].xml"), "is an Excel workbook (.xlsx): save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an Excel workbook (.xls): save the sheet as CSV"),
        (bz2.compress(WHOLE), "is compressed by bzip2: decompress it"),
        (lzma.compress(WHOLE), "is compressed by xz: decompress it"),
        (_tar(), "is a tar archive: unpack it"),
        (gzip.compress(_tar()), "the compressed file is a tar archive"),
        (gzip.compress(gzip.compress(WHOLE)), "the compressed file is compressed by gzip"),
        (gzip.compress(WHOLE.decode().encode("utf-16")), "the compressed file is UTF-16 text"),
    ],
    # Not the bytes: compressed files contain the time, and all processes must give a test the same name.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_another_file_format_is_named_with_a_solution(path: Path, content: bytes, told: str) -> None:
    with pytest.raises(TrainingError) as refusal:
        read(path, content)
    assert refusal.value.reason == "DataUnavailable"
    assert told in refusal.value.message


def test_a_broken_gzip_file_is_refused(path: Path) -> None:
    whole = gzip.compress((HEADER + GOOD * 1000).encode())
    for content in (whole[:-20], whole[:12], whole[:40] + b"\0\0\0\0" + whole[44:]):
        with pytest.raises(TrainingError, match="cannot be read to its end"):
            read(path, content)


@settings(max_examples=200, deadline=None)
@given(content=st.one_of(
    st.binary(max_size=300),
    st.text(st.sampled_from(string.digits + 'aNn,.;"\r\n\0\\\'-+eE_ \u0663\u20ac'), max_size=200).map(
        lambda text: (HEADER + GOOD + text).encode()
    ),
    st.binary(max_size=40).map(lambda noise: gzip.compress((HEADER + GOOD).encode())[:50] + noise),
))  # fmt: skip
def test_any_content_is_read_or_refused(path: Path, content: bytes) -> None:
    try:
        frame, refusals = read(path, content)
    except TrainingError:
        return
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert len(frame) + refusals.counts.total() <= lines
    if len(frame):
        assert frame["motor_pump"].str.fullmatch("[A-Za-z0-9._-]+").all()
        assert not np.isinf(frame.get("Oil_P", pd.Series(dtype=float))).any()


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | NUMBERS, st.sampled_from(["repr", "e"])), max_size=20))
def test_every_number_is_read_exactly(path: Path, numbers: list[tuple[float | None, str]]) -> None:
    texts = ["" if number is None else f"{number:.17e}" if form == "e" else repr(number) for number, form in numbers]
    lines = [f"2025-01-01T00:00:00Z,ITU-415,{text},\n" for text in texts]
    frame, refusals = read(path, HEADER + GOOD + "".join(lines))
    assert not refusals.first
    expected = [math.nan if number is None else number for number, _ in numbers]
    np.testing.assert_array_equal(frame["Oil_P"].iloc[1:], expected)

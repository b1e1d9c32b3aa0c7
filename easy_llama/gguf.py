"""The header of a GGUF file, read lazily and without llama.cpp.

A header is a fixed start, then key-values, then one description a tensor. Key-values are looked for only as
far as the key that is asked for, because the vocabulary behind them holds hundreds of thousands of strings.
A file may come from anyone: every length is checked against the file's size before it is used, and the
number of items that are walked is bounded. What llama.cpp refuses is refused here: a key that stands twice,
an array in an array.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian)
"""

import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from easy_llama.errors import GGUFError

__all__ = [
    "GGUFArray",
    "GGUFFile",
    "GGUFMetadata",
    "Scalar",
    "Value",
    "ValueType",
    "one_line",
    "open_gguf",
]

_CHUNK = 64 * 1024
_MAX_ITEMS = 1 << 24
"""Array items and key bytes that one header may make us walk; the largest vocabularies need a tenth."""
_MAX_COUNT = 1 << 16
"""Key-values, and tensors, of one file; the largest models have a few thousand tensors a file."""
_MAX_STRING = 1 << 24
_MAX_KEY = (1 << 16) - 1
_MAX_DIMENSIONS = 4

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_START = struct.Struct("<4sIQQ")
_ARRAY_START = struct.Struct("<IQ")

_NOT_GGUF = {
    b"vers": "a Git LFS pointer and not the model itself; fetch the model with `git lfs pull`",
    **dict.fromkeys((b"<!DO", b"<!do", b"<htm"), "a web page and not a model; download the file itself"),
    **dict.fromkeys((b"lmgg", b"fmgg", b"tjgg"), "older than GGUF; download the model as GGUF"),
}

_TENSOR_TYPES = {
    # ggml_type: (elements in a block, bytes in a block), as ggml_blck_size() and ggml_type_size() give them.
    # Q2_0 (42) is left out: files with blocks of 64 and of 128 are both in use under that number.
    **{0: (1, 4), 1: (1, 2), 30: (1, 2), 28: (1, 8)},  # F32 F16 BF16 F64
    **{24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8)},  # I8 I16 I32 I64
    **{2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36)},  # Q4_0 to Q8_1
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176)},  # Q2_K Q3_K Q4_K Q5_K
    **{14: (256, 210), 15: (256, 292)},  # Q6_K Q8_K
    **{16: (256, 66), 17: (256, 74), 22: (256, 82)},  # IQ2_XXS IQ2_XS IQ2_S
    **{18: (256, 98), 21: (256, 110), 19: (256, 50), 29: (256, 56)},  # IQ3_XXS IQ3_S IQ1_S IQ1_M
    **{20: (32, 18), 23: (256, 136), 34: (256, 54), 35: (256, 66)},  # IQ4_NL IQ4_XS TQ1_0 TQ2_0
    **{39: (32, 17), 40: (64, 36), 41: (128, 18)},  # MXFP4 NVFP4 Q1_0
}


class ValueType(IntEnum):
    """The type of a metadata value, as the file numbers it."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


_FIXED = {
    ValueType(number): struct.Struct("<" + code)
    for number, code in enumerate(("B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d"))
    if code
}


def one_line(text: str) -> str:
    """Return `text` fit for a terminal: a control character in a name could rewrite the screen."""
    return "".join(character if character.isprintable() else "�" for character in text)


class _Source:
    """The bytes of one open file, by offset; every failure is a GGUFError that names the file.

    It reads, and does not map the file into memory: a mapped file that shrinks kills the whole process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.shown = one_line(str(path))
        self._window = b""
        self._window_start = 0
        self._items_left = _MAX_ITEMS
        try:
            # Before opening: to open a named pipe would wait for its other end.
            kind = self.path.stat().st_mode
            if stat.S_ISDIR(kind):
                raise GGUFError(f"{self.shown} is a folder; give the path of a .gguf file.")
            if not stat.S_ISREG(kind):
                raise GGUFError(f"{self.shown} is not a regular file; give the path of a .gguf file.")
            self._file = self.path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except FileNotFoundError:
            raise GGUFError(f"{self.shown} does not exist; check the path.") from None
        except (OSError, ValueError) as error:
            raise self.unreadable(error) from error

    def close(self) -> None:
        self._window = b""
        self._file.close()

    def fetch(self, offset: int, length: int = _CHUNK) -> bytes:
        """Return up to `length` bytes from `offset`; fewer only at the end of the file."""
        if self._file.closed:
            raise ValueError(f"{self.shown} is closed; read its header before that.")
        try:
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise self.unreadable(error) from error

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        self.check_room(offset, length)
        if length > _CHUNK:
            found = self.fetch(offset, length)
        else:
            start = offset - self._window_start
            if start < 0 or start + length > len(self._window):
                self._window, self._window_start, start = self.fetch(offset), offset, 0
            found = self._window[start : start + length]
        if len(found) < length:
            raise self.truncated()
        return found

    def scalar(self, layout: struct.Struct, offset: int) -> Any:
        return layout.unpack(self.read(offset, layout.size))[0]

    def string(self, offset: int, limit: int, *, strict: bool = False) -> tuple[str, int]:
        """Return the string at `offset`, and the offset behind it."""
        length = self.scalar(_U64, offset)
        self.check_room(offset + 8, length)
        if length > limit:
            raise self.damaged(f"it holds a text of {length:,} bytes, and {limit:,} are the most")
        try:
            text = self.read(offset + 8, length).decode("utf-8", "strict" if strict else "replace")
        except UnicodeDecodeError:
            raise self.damaged("one of its keys is not valid UTF-8") from None
        return text, offset + 8 + length

    def check_room(self, offset: int, length: int) -> None:
        if offset + length > self.size:
            raise self.truncated()

    def count_items(self, items: int) -> None:
        """Count `items` against what one header may make us walk."""
        self._items_left -= items
        if self._items_left < 0:
            raise self.damaged(f"its header lists more than {_MAX_ITEMS:,} items")

    def truncated(self) -> GGUFError:
        return GGUFError(
            f"{self.shown} is truncated or damaged: its header goes on beyond its {self.size:,} bytes; "
            "download it again."
        )

    def damaged(self, what: str) -> GGUFError:
        return GGUFError(f"{self.shown} is damaged: {what}; download it again.")

    def unreadable(self, error: Exception) -> GGUFError:
        reason = getattr(error, "strerror", None) or str(error)
        return GGUFError(f"{self.shown} cannot be read: {reason}; check the file and your rights to it.")


Scalar = int | float | bool | str


@dataclass(frozen=True, slots=True, eq=False)
class GGUFArray:
    """An array in the metadata, whose items are read from the file while it is iterated."""

    element_type: ValueType
    length: int
    _source: _Source = field(repr=False)
    _start: int = field(repr=False)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Scalar]:
        layout = _FIXED.get(self.element_type)
        return self._texts() if layout is None else self._numbers(layout)

    def _texts(self) -> Iterator[str]:
        offset = self._start
        for _ in range(self.length):
            text, offset = self._source.string(offset, _MAX_STRING)
            yield text

    def _numbers(self, layout: struct.Struct) -> Iterator[Scalar]:
        at_once = _CHUNK // layout.size
        for first in range(0, self.length, at_once):
            count = min(at_once, self.length - first)
            block = self._source.read(self._start + first * layout.size, count * layout.size)
            for (item,) in layout.iter_unpack(block):
                yield item


Value = Scalar | GGUFArray


def _read_value(source: _Source, kind: ValueType, offset: int) -> Value:
    if kind is ValueType.STRING:
        return source.string(offset, _MAX_STRING)[0]
    if kind is ValueType.ARRAY:
        return _read_array(source, offset)
    number: Scalar = source.scalar(_FIXED[kind], offset)
    return number


def _read_array(source: _Source, offset: int) -> GGUFArray:
    number, length = _ARRAY_START.unpack(source.read(offset, _ARRAY_START.size))
    element_type = _value_type(source, number)
    if element_type is ValueType.ARRAY:
        raise source.damaged("it holds an array of arrays, which llama.cpp does not read either")
    start = offset + _ARRAY_START.size
    # A string takes at least the eight bytes of its length.
    source.check_room(start, length * (_FIXED[element_type].size if element_type in _FIXED else _U64.size))
    return GGUFArray(element_type, length, source, start)


def _end_of_value(source: _Source, kind: ValueType, offset: int) -> int:
    """Return the offset behind the value at `offset`."""
    if kind is ValueType.STRING:
        return offset + _U64.size + int(source.scalar(_U64, offset))
    if kind is not ValueType.ARRAY:
        return offset + _FIXED[kind].size
    array = _read_array(source, offset)
    if array.element_type in _FIXED:
        return array._start + array.length * _FIXED[array.element_type].size
    source.count_items(array.length)
    return _end_of_strings(source, array._start, array.length)


def _end_of_strings(source: _Source, offset: int, count: int) -> int:
    """Return the offset behind `count` strings; a tight loop, since vocabularies pass through it."""
    unpack_length = _U64.unpack_from
    while count:
        block = source.fetch(offset) if offset < source.size else b""
        last = len(block) - 8
        position = 0
        while count and position <= last:
            position += 8 + unpack_length(block, position)[0]
            count -= 1
        if not position:
            raise source.truncated()
        offset += position
    return offset


def _value_type(source: _Source, number: int) -> ValueType:
    try:
        return ValueType(number)
    except ValueError:
        raise source.damaged(f"a value has the type {number}, which the format does not know") from None


class GGUFMetadata(Mapping[str, Value]):
    """The key-values of a GGUF header, in the file's order; read as far as the key that is asked for.

    Numbers, truth values and texts come as Python's own, arrays as `GGUFArray`. Invalid UTF-8 in a text is
    replaced. A key that stands twice is refused, as llama.cpp refuses it. Every access may raise `GGUFError`.
    """

    def __init__(self, source: _Source, count: int, start: int) -> None:
        self._source = source
        self._count = count
        self._start = start
        self._keys: list[str] = []
        self._places: dict[str, tuple[ValueType, int]] = {}
        self._end: int | None = None
        self._failure: str | None = None

    def __getitem__(self, key: str) -> Value:
        while key not in self._places:
            if len(self._keys) == self._count:
                raise KeyError(key)
            self._find_next()
        return _read_value(self._source, *self._places[key])

    def __iter__(self) -> Iterator[str]:
        for position in range(self._count):
            if position == len(self._keys):
                self._find_next()
            yield self._keys[position]

    def __len__(self) -> int:
        return self._count

    def end(self) -> int:
        """Return the offset behind the last key-value, where the tensors are described."""
        while len(self._keys) < self._count:
            self._find_next()
        if self._end is None:
            self._end = self._behind_last()
        return self._end

    def _behind_last(self) -> int:
        return _end_of_value(self._source, *self._places[self._keys[-1]]) if self._keys else self._start

    def _find_next(self) -> None:
        # What failed once stays failed: trying again would only count its items twice.
        if self._failure is not None:
            raise GGUFError(self._failure)
        try:
            key, offset = self._source.string(self._behind_last(), _MAX_KEY, strict=True)
            self._source.count_items(len(key))
            if not key:
                raise self._source.damaged("one of its keys is empty")
            if key in self._places:
                raise self._source.damaged(f"its key {one_line(key)!r} stands twice")
            kind = _value_type(self._source, self._source.scalar(_U32, offset))
        except GGUFError as error:
            self._failure = str(error)
            raise
        self._places[key] = (kind, offset + _U32.size)
        self._keys.append(key)


class GGUFFile:
    """An open GGUF file; a context manager, made by `open_gguf`, for one thread at a time."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self.version, self.n_tensors, n_values = _read_start(source)
        self.metadata = GGUFMetadata(source, n_values, _START.size)

    @property
    def path(self) -> Path:
        """The path that the file was opened by."""
        return self._source.path

    @property
    def size(self) -> int:
        """The size of the file, in bytes."""
        return self._source.size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; its metadata cannot be read after that."""
        self._source.close()

    def check_complete(self) -> None:
        """Check that the file holds the data of every tensor that its header describes.

        A tensor of a type that is not known here counts with its first byte only. Of a split model, only
        this file is looked at.

        Raises:
            GGUFError: The file is truncated, or its header is damaged.
        """
        alignment = self._alignment()
        offset = self.metadata.end()
        data_size = 0
        for _ in range(self.n_tensors):
            end, offset = self._tensor_end(offset)
            data_size = max(data_size, end)
        needed = -(-offset // alignment) * alignment + data_size if self.n_tensors else offset
        if self.size < needed:
            raise GGUFError(
                f"{self._source.shown} is truncated: {self.size:,} of {needed:,} bytes; download it again."
            )

    def _alignment(self) -> int:
        alignment = self.metadata.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise self._source.damaged("its general.alignment is not a power of two")
        return alignment

    def _tensor_end(self, offset: int) -> tuple[int, int]:
        """Return where a tensor's data ends in the data section, and the offset behind its description."""
        source = self._source
        offset += _U64.size + int(source.scalar(_U64, offset))
        n_dimensions = source.scalar(_U32, offset)
        if n_dimensions > _MAX_DIMENSIONS:
            raise source.damaged(f"a tensor has {n_dimensions:,} dimensions")
        layout = struct.Struct(f"<{n_dimensions}QIQ")
        *shape, number, start = layout.unpack(source.read(offset + 4, layout.size))
        n_elements = 1
        for length in shape:
            n_elements *= length
        if n_elements >= 1 << 63 or start >= 1 << 63:
            raise source.damaged("a tensor is larger than any file")
        block, size = _TENSOR_TYPES.get(number, (1, 0))
        if shape and shape[0] % block:
            raise source.damaged(f"a tensor's rows of {shape[0]:,} are not whole blocks of {block}")
        return start + n_elements // block * size, offset + 4 + layout.size


def open_gguf(path: str | os.PathLike[str]) -> GGUFFile:
    """Open a GGUF file and read the fixed start of its header (24 bytes).

    Raises:
        GGUFError: The file is missing, is not one, cannot be read, or is not GGUF of version 2 or 3.
    """
    source = _Source(path)
    try:
        return GGUFFile(source)
    except BaseException:
        source.close()
        raise


def _read_start(source: _Source) -> tuple[int, int, int]:
    """Return the version, the number of tensors and the number of key-values."""
    if not source.size:
        raise GGUFError(f"{source.shown} is empty; download it again.")
    magic = source.fetch(0, 4)
    if magic != b"GGUF":
        other = f"not a GGUF file (it begins with {magic!r}); give the path of a .gguf file"
        raise GGUFError(f"{source.shown} is {_NOT_GGUF.get(magic, other)}.")
    _, version, n_tensors, n_values = _START.unpack(source.read(0, _START.size))
    if version and not version & 0xFFFF:
        raise GGUFError(f"{source.shown} is big-endian; download it for little-endian machines.")
    if version not in (2, 3):
        step = "download a newer version of the model" if version < 2 else "update this program"
        raise GGUFError(f"{source.shown} is GGUF version {version}, and only 2 and 3 are read; {step}.")
    for count, what in ((n_tensors, "tensors"), (n_values, "key-values")):
        if count > _MAX_COUNT:
            raise source.damaged(f"it claims {count:,} {what}, and {_MAX_COUNT:,} are the most")
    return version, n_tensors, n_values

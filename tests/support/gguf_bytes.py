"""GGUF files for tests, put together byte by byte."""

import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
CODES = {
    U8: "B",
    I8: "b",
    U16: "H",
    I16: "h",
    U32: "I",
    I32: "i",
    F32: "f",
    BOOL: "?",
    U64: "Q",
    I64: "q",
    F64: "d",
}


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def array(kind, items):
    packed = [text(item) if kind == STR else struct.pack("<" + CODES[kind], item) for item in items]
    return struct.pack("<IQ", kind, len(items)) + b"".join(packed)


def entry(key, kind, value):
    if kind == STR:
        packed = text(value)
    elif kind == ARR:
        packed = value
    else:
        packed = struct.pack("<" + CODES[kind], value)
    return text(key) + struct.pack("<I", kind) + packed


def tensor(name, shape, kind, offset):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def header(entries, tensors=(), version=3):
    start = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries))
    return start + b"".join(entries) + b"".join(tensors)


def padded(data, alignment=32):
    return data + b"\0" * (-len(data) % alignment)


ENTRIES = [
    entry("general.architecture", STR, "llama"),
    entry("general.name", STR, "A smäll model"),
    entry("llama.context_length", U32, 2048),
    entry("llama.block_count", U32, 2),
    entry("llama.rope.freq_base", F32, 10000.0),
    entry("llama.attention.head_count_kv", ARR, array(I32, [3, 0])),
    entry("tokenizer.ggml.add_bos_token", BOOL, False),
    entry("tokenizer.ggml.tokens", ARR, array(STR, ["<s>", "a", "b" * 300, ""])),
    entry("tokenizer.ggml.scores", ARR, array(F32, [0.5, -1.0])),
    entry("general.file_type", U32, 15),
]
TENSORS = [tensor("token_embd.weight", (64, 4), 3, 0), tensor("output_norm.weight", (64,), 0, 160)]
SMALL = padded(header(ENTRIES, TENSORS)) + b"\x11" * (160 + 256)

"""The vocabulary of a loaded model: text to token ids and back."""

import ctypes
from collections.abc import Iterator, Sequence
from functools import cached_property

import llama_cpp
from llama_cpp import llama_cpp as lib

from easy_llama.errors import GenerationError

_CONTROL = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN


class Tokenizer:
    """Text to token ids and back, for one model; may be used from any thread."""

    def __init__(self, llama: llama_cpp.Llama) -> None:
        self._llama = llama  # keeps the vocabulary's memory alive
        self.vocab = lib.llama_model_get_vocab(llama.model)
        """llama.cpp's own vocabulary."""
        self._bytes: dict[int, bytes] = {}
        self.n_vocab: int = lib.llama_vocab_n_tokens(self.vocab)
        self.bos: int = lib.llama_vocab_bos(self.vocab)
        """The beginning-of-sequence token's id, -1 where there is none."""
        self.adds_bos: bool = lib.llama_vocab_get_add_bos(self.vocab)
        """Whether the model wants a prompt to begin with BOS."""
        self._prefixes_space = (
            lib.llama_vocab_type(self.vocab) == lib.LLAMA_VOCAB_TYPE_SPM
            and llama.metadata.get("tokenizer.ggml.add_space_prefix", "true") != "false"
        )

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return the token ids of `text`.

        Args:
            text: any text; lone surrogates become U+FFFD.
            add_special: put BOS (and EOS) where the model wants them.
            parse_special: read the names of control tokens in the text as those tokens.
        """
        data = text.encode("utf-8", errors="replace")
        size = len(data) + 2
        buffer = (lib.llama_token * size)()
        count = lib.llama_tokenize(self.vocab, data, len(data), buffer, size, add_special, parse_special)
        if count < 0:  # the buffer was too small: the negative count is the size wanted
            buffer = (lib.llama_token * -count)()
            count = lib.llama_tokenize(
                self.vocab, data, len(data), buffer, -count, add_special, parse_special
            )
        if count < 0:
            raise GenerationError(f"llama.cpp could not tokenize a text of {len(data):,} bytes")
        return list(buffer[:count])

    def encode_plain(self, text: str, *, continues: bool) -> list[int]:
        """Return the token ids of text in which no control token is read.

        Args:
            text: any text.
            continues: ordinary tokens come before it. SentencePiece vocabularies put a space before the
                first word of a text, which does not belong in the middle of one.
        """
        if not (continues and self._prefixes_space):
            return self.encode(text, add_special=False, parse_special=False)
        # A newline never merges with what follows it, so its tokens can be cut off again.
        newline = self.encode("\n", add_special=False, parse_special=False)
        ids = self.encode("\n" + text, add_special=False, parse_special=False)
        if ids[: len(newline)] == newline:
            return ids[len(newline) :]
        return self.encode(text, add_special=False, parse_special=False)

    def split_control(self, text: str) -> Iterator[int | str]:
        """Split text that a format wrote into control token ids and the plain text between them."""
        position = 0
        for token in self.encode(text, add_special=False, parse_special=True):
            attributes = lib.llama_vocab_get_attr(self.vocab, token)
            if not attributes & _CONTROL:
                continue
            name = self.text(token)
            start = text.find(name, position)
            if start < 0:  # an unknown character, which the vocabulary spells as a control token
                continue
            plain = text[position:start]
            yield plain.rstrip() if attributes & lib.LLAMA_TOKEN_ATTR_LSTRIP else plain
            yield token
            position = start + len(name)
            if attributes & lib.LLAMA_TOKEN_ATTR_RSTRIP:
                position = len(text) - len(text[position:].lstrip())
        yield text[position:]

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes that a token adds to a text; none for a control token."""
        data = self._bytes.get(token)
        if data is None:
            data = self._bytes[token] = self._piece(token, special=False)
        return data

    def spelled(self, token: int) -> bytes:
        """Return the bytes that a token adds to a text; of a control token, its name."""
        return self._piece(token, special=True)

    def text(self, token: int) -> str:
        """Return a token as the vocabulary spells it."""
        self._check(token)
        data: bytes = lib.llama_vocab_get_text(self.vocab, token)
        return data.decode("utf-8", errors="replace")

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of `tokens`; with `special`, control tokens appear by name."""
        return b"".join(self._piece(token, special=special) for token in tokens).decode(
            "utf-8", errors="replace"
        )

    def decode_text(self, tokens: Sequence[int], *, special: bool) -> str:
        """Return the text that was encoded as `tokens`, without the BOS, EOS and space put around it.

        Args:
            tokens: ids of this vocabulary.
            special: write control tokens by name; else leave them out.
        """
        for token in tokens:
            self._check(token)
        ids = (lib.llama_token * len(tokens))(*tokens)
        size = 16 * len(tokens) + 16
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_detokenize(self.vocab, ids, len(tokens), buffer, size, True, special)
            if count >= 0:
                return buffer.raw[:count].decode("utf-8", errors="replace")
            size = -count

    def is_end(self, token: int) -> bool:
        """Return whether the model ends its turn with this token."""
        return bool(lib.llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """The names of all control tokens: what a format may write, and nobody else."""
        return tuple(
            self.text(token)
            for token in range(self.n_vocab)
            if lib.llama_vocab_get_attr(self.vocab, token) & _CONTROL
        )

    def _check(self, token: int) -> None:
        # llama.cpp reads beyond the vocabulary instead of refusing.
        if not 0 <= token < self.n_vocab:
            raise ValueError(f"token id {token} is not between 0 and {self.n_vocab - 1}")

    def _piece(self, token: int, *, special: bool) -> bytes:
        self._check(token)
        size = 64
        buffer = ctypes.create_string_buffer(size)
        count = lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
        if count < 0:
            size = -count
            buffer = ctypes.create_string_buffer(size)
            count = lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
        return buffer.raw[: max(count, 0)]

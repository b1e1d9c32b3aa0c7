"""What the library's documentation page promises, walked from its top to its bottom on the real model.

Each case is one promise and is named by the page's own words, in the page's order, so that a missing one
is seen by reading both side by side. Where the page is silent the words are this project's own, and are
marked as such.
"""

import ctypes
import importlib
import inspect
import io
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest
from llama_cpp import llama_cpp as lib

import easy_llama as ez
from easy_llama.events import Finished
from easy_llama.gguf import open_gguf
from easy_llama.interact import Interaction
from easy_llama.sampler_chain import sampler_chain
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings, SimpleSampling

WOOF = "The dog says woof, but the cat says"
SKY = "The sky is blue, and"
MAT = "The cat sat on the mat. The dog lay by the door. The cat sat on the"
FILM = (
    "Gentlemen, owing to lack of time and adverse circumstances, most people leave this world without "
    "thinking too much about it. Those who try get a headache and move on to something else. I belong to "
    "the second group. As my career progressed, the amount of space dedicated to me in Who’s Who grew and "
    "grew, but neither the last issue nor any future ones will explain why I abandoned journalism. This "
    "will be the subject of my story, which I wouldn’t tell you under other circumstances anyway."
)
SHORT = GreedyDecoding.replace(max_len_tokens=8)

HEADINGS = (
    "Documentation for easy-llama",
    "class ez.Model",
    "Model.__init__()",
    "Model.__init__(): Example usage",
    "Model.unload() -> None",
    "Model.unload() -> None: Example usage",
    "Model.get_length() -> int",
    "Model.get_length() -> int: Example usage",
    "Model.generate() -> str",
    "Model.stream() -> Generator",
    "Model.stream_print() -> str",
    "Model.ingest() -> None",
    "Model.candidates() -> list[tuple[str, np.floating]]",
    "Model.candidates() -> list[tuple[str, np.floating]]: Example usage",
    "Model.print_candidates() -> None",
    "Model.print_candidates() -> None: Example usage",
    "class ez.Thread",
    "Thread.create_message() -> Message",
    "Thread.len_messages() -> int",
    "Thread.add_message() -> None",
    "Thread.inference_str_from_messages() -> str",
    "Thread.send() -> str",
    "Thread.interact() -> None",
    "Thread.reset() -> None",
    "Thread.as_string() -> str",
    "Thread.print_stats() -> None",
    "class ez.thread.Message",
    "Message.as_string() -> str",
    "class ez.samplers.SamplerSettings",
    "ez.samplers.SamplerSettings.__init__()",
    "Preset samplers",
    "ez.formats",
)
"""The headings of the page, in its order."""


@dataclass
class Bench:
    """What a case is tried on."""

    model: ez.Model
    path: Path
    marked: Path
    """The demo model with the special tokens that it lacks; see `marked_path`."""
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack

    def load(self, path: Path | None = None, **options: Any) -> ez.Model:
        """Return a model of the case's own, small unless the case says otherwise."""
        model = ez.Model(str(path or self.path), **{"context_length": 256} | options)
        self.stack.callback(model.unload)
        return model

    def thread(self, **options: Any) -> ez.Thread:
        """Return a new thread whose replies are short, in a format with affixes that are easy to tell."""
        return ez.Thread(self.model, **{"format": ez.formats.chatml, "sampler": SHORT} | options)

    def printed(self) -> str:
        """Return what went to standard output since this was last asked."""
        return self.capture.readouterr().out


@dataclass
class Promise:
    heading: str
    words: str
    check: Callable[[Bench], None]

    @property
    def id(self) -> str:
        return f"{self.heading}: {self.words}"


@dataclass
class Page:
    """The promises, in the order of the page."""

    promises: list[Promise] = field(default_factory=list)
    _heading: str = ""

    def heading(self, words: str) -> None:
        self._heading = words

    def says(self, words: str) -> Callable[[Callable[[Bench], None]], None]:
        def add(check: Callable[[Bench], None]) -> None:
            self.promises.append(Promise(self._heading, words, check))

        return add

    def silent(self, words: str) -> Callable[[Callable[[Bench], None]], None]:
        """Add what the project decided where the page says nothing."""
        return self.says(f"(the page is silent) {words}")


@pytest.fixture(scope="module")
def marked_path(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model's file, changed so that it has a BOS in front and tokens for infill, CLS and SEP.

    What is put into the header is a multiple of its alignment of 32 bytes long, so that all that follows
    stays aligned.
    """
    data = bytearray(model_path.read_bytes())
    added_bos = data.index(b"tokenizer.ggml.add_bos_token") + len("tokenizer.ggml.add_bos_token") + 4
    data[added_bos] = 1
    for name, other in (
        (b"<jupyter_code>", b"<|fim_prefix|>"),
        (b"<jupyter_text>", b"<|fim_middle|>"),
        (b"<empty_output>", b"<|fim_suffix|>"),
    ):
        place = data.index(name)
        data[place : place + len(name)] = other

    def key(name: bytes, kind: int) -> bytes:
        return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind)

    keys = key(b"tokenizer.ggml.cls_token_id", 4) + struct.pack("<I", 5)
    keys += key(b"tokenizer.ggml.seperator_token_id", 4) + struct.pack("<I", 6)
    keys += key(b"filler", 8)
    filler = -(len(keys) + 8) % 32
    keys += struct.pack("<Q", filler) + b" " * filler
    (count,) = struct.unpack_from("<Q", data, 16)
    path = tmp_path_factory.mktemp("marked") / "marked.gguf"
    path.write_bytes(data[:16] + struct.pack("<Q", count + 3) + keys + data[24:])
    return path


@pytest.fixture
def at(
    model: ez.Model,
    model_path: Path,
    marked_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    with ExitStack() as stack:
        yield Bench(model, model_path, marked_path, capfd, monkeypatch, stack)


def required(function: Callable[..., object], *names: str) -> None:
    """Check that these are the parameters that have to be given."""
    parameters = inspect.signature(function).parameters
    empty = inspect.Parameter.empty
    assert tuple(name for name, known in parameters.items() if known.default is empty)[-len(names) :] == names


def default(function: Callable[..., object], name: str) -> object:
    return inspect.signature(function).parameters[name].default


def texts(chunks: Iterator[dict[str, Any]]) -> list[str]:
    return [chunk["choices"][0]["text"] for chunk in chunks]


def finished(at: Bench, prompt: str, sampler: SamplerSettings, model: ez.Model | None = None) -> Finished:
    *_, last = (model or at.model).events(prompt, sampler=sampler)
    assert isinstance(last, Finished)
    return last


class Screen(io.StringIO):
    """A terminal that keeps what is written to it, and when it was flushed."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self.tty = tty
        self.writes: list[str] = []
        self.flushed: list[str] = []

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def talk(thread: ez.Thread, *typed: str, tty: bool = False, **options: Any) -> Screen:
    """Hold a chat in which this is typed and then ^C; return what it was held on."""
    lines, screen = iter(typed), Screen(tty=tty)

    def read(prompt: str) -> str:
        screen.write(prompt)
        line = next(lines, None)
        if line is None:
            raise KeyboardInterrupt
        return line

    header = options.pop("header", None)
    Interaction(thread, read=read, out=screen, **options).run(header)
    assert next(lines, None) is None, "the chat ended before all was typed"
    return screen


def said(thread: ez.Thread) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in thread.messages]


def logits_left(at: Bench, settings: SamplerSettings) -> dict[int, float]:
    """Return the logits, by id, that the settings leave of the next token after `MAT`."""
    prompt = at.model.tokenize(MAT)
    data = np.zeros(at.model.n_vocab, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
    data["id"] = np.arange(len(data))
    data["logit"] = at.model.engine.logits(prompt)
    rows = data.ctypes.data_as(lib.llama_token_data_p)
    array = lib.llama_token_data_array(data=rows, size=len(data), selected=-1, sorted=False)
    vocab = lib.llama_model_get_vocab(at.model.llama.model)
    length = at.model.context_length
    with sampler_chain(settings, vocab=vocab, seed=1, context=prompt, context_length=length) as chain:
        # Its last sampler draws a token.
        end = lib.llama_sampler_chain_n(chain) - 1
        lib.llama_sampler_free(lib.llama_sampler_chain_remove(chain, end))
        lib.llama_sampler_apply(chain, ctypes.byref(array))
    assert ctypes.addressof(array.data.contents) == data.ctypes.data
    left = data[: array.size]
    return dict(zip(left["id"].tolist(), left["logit"].tolist(), strict=True))


def shares(logits: dict[int, float]) -> dict[int, float]:
    """Return the probabilities of logits, the likeliest token first."""
    values: npt.NDArray[np.float64] = np.array(list(logits.values()))
    weights = np.exp(values - values.max())
    found = dict(zip(logits, (weights / weights.sum()).tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def likeliest(at: Bench, settings: SamplerSettings) -> float:
    """Return the probability of the likeliest token under the settings."""
    return max(shares(logits_left(at, settings)).values())


def only(**setting: Any) -> SamplerSettings:
    """Return settings in which nothing else is on."""
    return SimpleSampling.replace(**setting)


def penalty(at: Bench, settings: SamplerSettings) -> dict[int, float]:
    """Return what the settings take off the logits, by id, where they do."""
    plain, left = logits_left(at, SimpleSampling), logits_left(at, settings)
    assert len(plain) == len(left)
    return {token: plain[token] - left[token] for token in plain if plain[token] != left[token]}


page = Page()

page.heading("Documentation for easy-llama")


@page.says("import easy_llama as ez")
def _(at: Bench) -> None:
    assert importlib.import_module("easy_llama") is ez
    assert {"Model", "Thread", "SamplerSettings", "samplers", "formats", "thread", "model"} <= {*ez.__all__}


page.heading("class ez.Model")


@page.says("verbose: Whether the model was loaded with `verbose=True`")
def _(at: Bench) -> None:
    assert at.model.verbose is False
    assert at.load(verbose=True).verbose is True
    at.load(verbose=False)  # which ends the showing


@page.says("metadata: A dictionary containing the GGUF metadata of the model")
def _(at: Bench) -> None:
    assert isinstance(at.model.metadata, dict)
    with open_gguf(at.path) as header:
        assert at.model.metadata.items() <= dict(header.metadata).items()
    assert at.model.metadata["general.architecture"] == "llama"
    assert at.model.metadata["llama.block_count"] == 30


@page.says("context_length: The currently loaded context length of the model, in tokens")
def _(at: Bench) -> None:
    assert at.model.context_length == lib.llama_n_ctx(at.model.llama.ctx) == 2048


@page.says("n_ctx: Alias to context_length")
def _(at: Bench) -> None:
    assert at.model.n_ctx == at.model.context_length


@page.says("llama: The underlying `llama_cpp.Llama` instance")
def _(at: Bench) -> None:
    assert isinstance(at.model.llama, llama_cpp.Llama)
    assert at.model.llama.n_ctx() == 2048


@page.says("vocab: A list of all tokens in the model's vocabulary")
def _(at: Bench) -> None:
    assert isinstance(at.model.vocab, list) and len(at.model.vocab) == at.model.n_vocab
    assert at.model.vocab[:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert all(isinstance(token, str) for token in at.model.vocab)


@page.says("bos_token: The beginning-of-sequence token ID")
def _(at: Bench) -> None:
    assert at.model.bos_token == at.model.metadata["tokenizer.ggml.bos_token_id"] == 1


@page.says("eos_token: The end-of-sequence token ID")
def _(at: Bench) -> None:
    assert at.model.eos_token == at.model.metadata["tokenizer.ggml.eos_token_id"] == 2


@page.says("eot_token: The end-of-turn token ID (or `None` if not found)")
def _(at: Bench) -> None:
    vocab = lib.llama_model_get_vocab(at.model.llama.model)
    assert at.model.eot_token == lib.llama_vocab_eot(vocab) >= 0


@page.says("nl_token: The newline token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.nl_token is not None
    assert at.model.detokenize([at.model.nl_token]) == "\n"


@page.says("prefix_token: The infill prefix token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.prefix_token is None
    marked = at.load(at.marked)
    assert marked.prefix_token == marked.vocab.index("<|fim_prefix|>")


@page.says("middle_token: The infill middle token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.middle_token is None
    marked = at.load(at.marked)
    assert marked.middle_token == marked.vocab.index("<|fim_middle|>")


@page.says("suffix_token: The infill suffix token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.suffix_token is None
    marked = at.load(at.marked)
    assert marked.suffix_token == marked.vocab.index("<|fim_suffix|>")


@page.says("cls_token: The classifier token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.cls_token is None
    assert at.load(at.marked).cls_token == 5


@page.says("sep_token: The separator token ID (or `None` if not found)")
def _(at: Bench) -> None:
    assert at.model.sep_token is None
    assert at.load(at.marked).sep_token == 6


@page.says("filename: The name of the file the model was loaded from")
def _(at: Bench) -> None:
    assert Path(at.model.filename) == at.path


@page.says("n_ctx_train: The native context length of the model")
def _(at: Bench) -> None:
    assert at.model.n_ctx_train == at.model.metadata["llama.context_length"] == 8192


@page.says("rope_freq_base_train: The native RoPE frequency base (theta) value")
def _(at: Bench) -> None:
    assert at.model.rope_freq_base_train == at.model.metadata["llama.rope.freq_base"] == 100_000


@page.says("rope_freq_base: The currently loaded RoPE frequency base (theta) value")
def _(at: Bench) -> None:
    assert at.model.rope_freq_base == at.model.rope_freq_base_train
    scaled = at.load(context_length=9216)
    assert scaled.rope_freq_base > 100_000
    assert scaled.rope_freq_base == pytest.approx(scaled.llama.context_params.rope_freq_base)


@page.says("flash_attn: Whether the model was loaded with Flash Attention enabled")
def _(at: Bench) -> None:
    assert at.model.flash_attn is False
    assert at.load(flash_attn=True).flash_attn is True


@page.says("n_vocab: The number of tokens in the model's vocabulary")
def _(at: Bench) -> None:
    assert at.model.n_vocab == at.model.llama.n_vocab() == 49152


@page.says("n_layer: The number of layers in the model")
def _(at: Bench) -> None:
    assert at.model.n_layer == at.model.metadata["llama.block_count"] == 30


@page.says("n_gpu_layers: The number of layers offloaded to the GPU (-1 for all layers)")
def _(at: Bench) -> None:
    assert at.model.n_gpu_layers == 0
    wished = at.load(n_gpu_layers=-1)
    assert wished.n_gpu_layers == (-1 if ez.model.supports_gpu_offload() else 0)


@page.says("ctx_scale: The ratio of `context_length`/`n_ctx_train`")
def _(at: Bench) -> None:
    assert at.model.ctx_scale == at.model.context_length / at.model.n_ctx_train == 0.25


@page.says("type_k: The GGML data type used for the `K` cache. 1 == f16, q8_0 otherwise")
def _(at: Bench) -> None:
    assert at.model.type_k == at.model.llama.context_params.type_k == lib.GGML_TYPE_F16 == 1


@page.says("type_v: The GGML data type used for the `V` cache. 1 == f16, q8_0 otherwise")
def _(at: Bench) -> None:
    assert at.model.type_v == at.model.llama.context_params.type_v == lib.GGML_TYPE_F16 == 1


@page.says("n_gqa: The GQA (Grouped-Query Attention) factor of the model")
def _(at: Bench) -> None:
    heads = at.model.metadata["llama.attention.head_count"]
    assert at.model.n_gqa == heads // at.model.metadata["llama.attention.head_count_kv"] == 3


page.heading("Model.__init__()")


@page.says("Given the path to a GGUF file, construct a Model instance")
def _(at: Bench) -> None:
    assert isinstance(at.load(), ez.Model)


@page.says("model_path: str - required")
def _(at: Bench) -> None:
    required(ez.Model, "model_path")


@page.says("context_length: May be less than or greater than the native context length")
def _(at: Bench) -> None:
    for length in (512, 9216):
        model = at.load(context_length=length)
        assert model.context_length == length
        assert model.generate(SKY, sampler=SHORT)
        model.unload()


@page.says("context_length: A warning will be displayed if [...] large enough to cause a loss of quality")
def _(at: Bench) -> None:
    with pytest.warns(ez.ContextScalingWarning, match="8,192 tokens"):
        assert at.load(context_length=2 * 8192).ctx_scale == 2
    # Every warning that a test does not expect is an error: this one gives none.
    at.load(context_length=9216)


@page.says("context_length: Modifies `rope_freq_base` for context scaling, [not] linear RoPE scaling")
def _(at: Bench) -> None:
    scaled = at.load(context_length=9216)
    assert scaled.rope_freq_base > scaled.rope_freq_base_train
    # 0 leaves the linear scale to the model, which has none.
    assert scaled.llama.context_params.rope_freq_scale in (0.0, 1.0)
    assert "llama.rope.scaling.type" not in scaled.metadata


@page.says("context_length: Defaults to `None`, which will use the native context length")
def _(at: Bench) -> None:
    assert default(ez.Model, "context_length") is None
    assert at.load(context_length=None).context_length == 8192


@page.says("n_gpu_layers: int - Defaults to `0`")
def _(at: Bench) -> None:
    assert default(ez.Model, "n_gpu_layers") == 0


@page.says("offload_kqv: bool - Whether to offload the K, Q, and V caches. Defaults to `True`")
def _(at: Bench) -> None:
    assert default(ez.Model, "offload_kqv") is True
    for wish in (True, False):
        assert at.load(offload_kqv=wish).llama.context_params.offload_kqv is wish


@page.says("flash_attn: bool - Whether to use Flash Attention. Defaults to `False`")
def _(at: Bench) -> None:
    assert default(ez.Model, "flash_attn") is False
    for wish in (True, False):
        model = at.load(flash_attn=wish)
        assert model.llama.context_params.flash_attn_type == int(wish)
        assert model.generate(SKY, sampler=SHORT)


@page.says("verbose: bool - Whether to show output from `llama-cpp-python`/`llama.cpp` or not")
def _(at: Bench) -> None:
    assert default(ez.Model, "verbose") is False
    at.load(verbose=True)
    assert "general.architecture" in at.capture.readouterr().err
    at.load(verbose=False).generate(SKY, sampler=SHORT)
    assert at.capture.readouterr() == ("", "")


page.heading("Model.__init__(): Example usage")


@page.says("load a model from a GGUF file")
def _(at: Bench) -> None:
    demo = ez.Model(str(at.path), n_gpu_layers=-1, flash_attn=True)
    at.stack.callback(demo.unload)
    assert demo.generate(SKY, sampler=SHORT)


page.heading("Model.unload() -> None")


@page.says("Unload the Model from memory")
def _(at: Bench) -> None:
    model = at.load()
    llama = model.llama
    assert model.unload() is None
    assert llama.ctx is None and llama.model is None


@page.says("If the Model is already unloaded, do nothing")
def _(at: Bench) -> None:
    model = at.load()
    model.unload()
    assert model.unload() is None


@page.says("after it has been unloaded, `easy_llama.model.ModelUnloadedException` will be raised")
def _(at: Bench) -> None:
    model = at.load()
    thread = ez.Thread(model, ez.formats.chatml)
    model.unload()
    unloaded = importlib.import_module("easy_llama.model").ModelUnloadedException
    assert issubclass(unloaded, Exception)
    uses: list[Callable[[], object]] = [
        lambda: model.generate(SKY),
        lambda: next(iter(model.stream(SKY))),
        lambda: model.stream_print(SKY),
        lambda: model.get_length(SKY),
        lambda: model.ingest(SKY),
        lambda: model.candidates(SKY, 1),
        lambda: model.print_candidates(SKY, 1),
        lambda: model.llama,
        lambda: thread.send("Hello"),
    ]
    for use in uses:
        with pytest.raises(unloaded, match="unloaded"):
            use()


page.heading("Model.unload() -> None: Example usage")


@page.says("ez.model.ModelUnloadedException")
def _(at: Bench) -> None:
    demo = at.load()
    assert demo.generate("The sky is blue, and", sampler=SHORT).startswith(" the")
    demo.unload()
    with pytest.raises(ez.model.ModelUnloadedException):
        demo.generate("The girl walked down")


page.heading("Model.get_length() -> int")


@page.says("Get the length of a given text in tokens according to this Model")
def _(at: Bench) -> None:
    for text in ("", "Hello", WOOF, "🦙 déjà vu\n\n"):
        expected = at.model.llama.tokenize(text.encode(), add_bos=True, special=True)
        assert at.model.get_length(text) == len(expected)


@page.says("including the appended BOS token")
def _(at: Bench) -> None:
    # The demo model itself wants none.
    assert at.load(at.marked).get_length(WOOF) == at.model.get_length(WOOF) + 1


@page.says("text: str - required")
def _(at: Bench) -> None:
    required(ez.Model.get_length, "text")


page.heading("Model.get_length() -> int: Example usage")


@page.says("Gentlemen, owing to lack of time and adverse circumstances, [...]")
def _(at: Bench) -> None:
    expected = len(at.model.llama.tokenize(FILM.encode(), add_bos=True, special=True))
    assert at.model.get_length(FILM) == expected > 90


page.heading("Model.generate() -> str")


@page.says("Given a prompt, return a generated string")
def _(at: Bench) -> None:
    text = at.model.generate(SKY, sampler=SHORT)
    assert isinstance(text, str) and text and not text.startswith(SKY)


@page.says("prompt: str - required")
def _(at: Bench) -> None:
    required(ez.Model.generate, "prompt")


@page.says("stops: list[Union[str, int]] - strings and/or token IDs at which to end [...] early")
def _(at: Bench) -> None:
    check_stops(lambda stops: at.model.generate(SKY, stops=stops, sampler=SHORT), at)


@page.says("stops: Defaults to `[]`")
def _(at: Bench) -> None:
    assert [*check_default(ez.Model.generate, "stops")] == []


@page.says("sampler: SamplerSettings - used to control text generation")
def _(at: Bench) -> None:
    assert finished(at, SKY, SHORT).generated_tokens == 8
    assert at.model.generate(SKY, sampler=only(seed=1, max_len_tokens=8)) != at.model.generate(
        SKY, sampler=only(seed=2, max_len_tokens=8)
    )


@page.says("sampler: Defaults to `ez.samplers.DefaultSampling`")
def _(at: Bench) -> None:
    assert default(ez.Model.generate, "sampler") is ez.samplers.DefaultSampling


@page.silent("a prompt that is too long raises an exception that names both lengths")
def _(at: Bench) -> None:
    length = at.model.get_length("word " * 2100)
    with pytest.raises(ez.model.ExceededContextLengthException, match=rf"{length:,} .* 2,048"):
        at.model.generate("word " * 2100)


page.heading("Model.stream() -> Generator")


@page.says("Given a prompt, return a Generator that yields dicts containing tokens")
def _(at: Bench) -> None:
    stream = at.model.stream(SKY, sampler=SHORT)
    assert inspect.isgenerator(stream)
    chunks = list(stream)
    assert all(isinstance(chunk, dict) for chunk in chunks)
    assert len(chunks) > 4


@page.says("subscript the dict with: `['choices'][0]['text']`")
def _(at: Bench) -> None:
    stream = at.model.stream(SKY, sampler=SHORT)
    assert "".join(chunk["choices"][0]["text"] for chunk in stream) == at.model.generate(SKY, sampler=SHORT)


@page.says("prompt: str - required")
def _(at: Bench) -> None:
    required(ez.Model.stream, "prompt")


@page.says("stops: list[Union[str, int]] - strings and/or token IDs at which to end [...] early")
def _(at: Bench) -> None:
    check_stops(lambda stops: "".join(texts(at.model.stream(SKY, stops=stops, sampler=SHORT))), at)


@page.says("stops: Defaults to `[]`")
def _(at: Bench) -> None:
    assert [*check_default(ez.Model.stream, "stops")] == []


@page.says("sampler: Defaults to `ez.samplers.DefaultSampling`")
def _(at: Bench) -> None:
    assert default(ez.Model.stream, "sampler") is ez.samplers.DefaultSampling


page.heading("Model.stream_print() -> str")


@page.says("stream text to a file as it is generated")
def _(at: Bench) -> None:
    file = Screen()
    text = at.model.stream_print(SKY, sampler=SHORT, file=file)
    assert len(file.writes) > 4 and "".join(file.writes) == text + "\n"


@page.says("and return the generated string")
def _(at: Bench) -> None:
    expected = at.model.generate(SKY, sampler=SHORT)
    assert at.model.stream_print(SKY, sampler=SHORT, file=Screen()) == expected


@page.says("The returned string does not include the `end` parameter")
def _(at: Bench) -> None:
    expected = at.model.generate(SKY, sampler=SHORT)
    assert at.model.stream_print(SKY, sampler=SHORT, end="<end>", file=Screen()) == expected


@page.says("prompt: str - required")
def _(at: Bench) -> None:
    required(ez.Model.stream_print, "prompt")


@page.says("stops: list[Union[str, int]] - strings and/or token IDs at which to end [...] early")
def _(at: Bench) -> None:
    check_stops(lambda stops: at.model.stream_print(SKY, stops, SHORT, file=Screen()), at)


@page.says("stops: Defaults to `[]`")
def _(at: Bench) -> None:
    assert [*check_default(ez.Model.stream_print, "stops")] == []


@page.says("sampler: Defaults to `ez.samplers.DefaultSampling`")
def _(at: Bench) -> None:
    assert default(ez.Model.stream_print, "sampler") is ez.samplers.DefaultSampling


@page.says("end: str - A string to print after the generated text. Defaults to `\\n`")
def _(at: Bench) -> None:
    assert default(ez.Model.stream_print, "end") == "\n"
    file = Screen()
    assert at.model.stream_print(SKY, sampler=SHORT, end="<end>", file=file) + "<end>" == file.getvalue()


@page.says("file: _SupportsWriteAndFlush - Defaults to `sys.stdout`")
def _(at: Bench) -> None:
    text = at.model.stream_print(SKY, sampler=SHORT)
    assert at.printed() == text + "\n"


@page.says("flush: bool - Whether to flush the stream after each token")
def _(at: Bench) -> None:
    file = Screen()
    text = at.model.stream_print(SKY, sampler=SHORT, file=file, flush=True)
    starts = ["".join(file.writes[:count]) for count in range(1, len(file.writes))]
    assert len(starts) > 4 and starts[-1] == text
    assert file.flushed[: len(starts)] == starts


@page.says("The stream is always flushed at the end of generation")
def _(at: Bench) -> None:
    file = Screen()
    at.model.stream_print(SKY, sampler=SHORT, file=file, flush=False)
    assert file.flushed == [file.getvalue()]


page.heading("Model.ingest() -> None")


@page.says("Ingest the given text into the model's cache")
def _(at: Bench) -> None:
    assert at.model.ingest(MAT) is None
    assert at.model.engine.cached_tokens == tuple(at.model.tokenize(MAT))


@page.says("to reduce latency of future generations that start with the same text")
def _(at: Bench) -> None:
    at.model.ingest(MAT)
    longer = finished(at, f"{MAT} mat, and", SHORT)
    assert longer.reused_tokens == at.model.get_length(MAT) < longer.prompt_tokens


@page.says("text: str - required")
def _(at: Bench) -> None:
    required(ez.Model.ingest, "text")


page.heading("Model.candidates() -> list[tuple[str, np.floating]]")


@page.says("return a sorted list of the top k candidates for most likely next token")
def _(at: Bench) -> None:
    found = at.model.candidates(WOOF, 7)
    assert isinstance(found, list) and all(isinstance(pair, tuple) for pair in found)
    logits = at.model.engine.logits(at.model.tokenize(WOOF))
    assert [text for text, _ in found] == [at.model.vocab[token] for token in np.argsort(-logits)[:7]]
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)


@page.says("along with their normalized probabilities")
def _(at: Bench) -> None:
    found = at.model.candidates(WOOF, at.model.n_vocab)
    assert all(isinstance(share, np.floating) for _, share in found)
    assert sum(float(share) for _, share in found) == pytest.approx(1, abs=1e-5)
    logits = at.model.engine.logits(at.model.tokenize(WOOF)).astype(np.float64)
    assert found[0][1] / found[1][1] == pytest.approx(np.exp(np.diff(np.sort(logits)[-2:])[0]), rel=1e-5)


@page.says("prompt: str and k: int - required")
def _(at: Bench) -> None:
    required(ez.Model.candidates, "prompt", "k")


@page.silent("exactly k are returned, and a k below 1 or above n_vocab is a ValueError")
def _(at: Bench) -> None:
    for k in (1, 5, 1000):
        assert len(at.model.candidates(WOOF, k)) == k
    for k in (0, -1, at.model.n_vocab + 1):
        with pytest.raises(ValueError, match=f"not {k}"):
            at.model.candidates(WOOF, k)


page.heading("Model.candidates() -> list[tuple[str, np.floating]]: Example usage")


@page.says("candidates('The dog says woof, but the cat says', 5)")
def _(at: Bench) -> None:
    found = at.model.candidates("The dog says woof, but the cat says", 5)
    assert len(found) == 5 and (",", found[1][1]) == found[1]
    assert 0 < sum(share for _, share in found) < 1


page.heading("Model.print_candidates() -> None")


@page.says("Like `Model.candidates()`, but print the values instead of returning them")
def _(at: Bench) -> None:
    assert at.model.print_candidates(WOOF, 3) is None
    printed = at.printed()
    assert printed.count("\n") == 3
    for text, share in at.model.candidates(WOOF, 3):
        assert repr(text) in printed and str(float(share)) in printed


@page.says("prompt: str and k: int - required")
def _(at: Bench) -> None:
    required(ez.Model.print_candidates, "prompt", "k")


@page.says("file: _SupportsWriteAndFlush - Defaults to `sys.stdout`")
def _(at: Bench) -> None:
    file = Screen()
    at.model.print_candidates(WOOF, 3, file=file)
    assert at.printed() == ""
    at.model.print_candidates(WOOF, 3)
    assert at.printed() == file.getvalue() != ""


page.heading("Model.print_candidates() -> None: Example usage")


@page.says("token '▁me' has probability 0.5121510028839111")
def _(at: Bench) -> None:
    at.model.print_candidates("The dog says woof, but the cat says", 5)
    expected = [
        f"token {text!r} has probability {float(share)}" for text, share in at.model.candidates(WOOF, 5)
    ]
    assert at.printed().splitlines() == expected


page.heading("class ez.Thread")


@page.says(".format - The format being used for messages in this thread")
def _(at: Bench) -> None:
    thread = ez.Thread(at.model, ez.formats.alpaca)
    assert thread.format == ez.formats.alpaca
    assert thread.create_message("user", "x")["prefix"] == "### Instruction:\n"


@page.says(".messages - The list of messages in this thread")
def _(at: Bench) -> None:
    thread = at.thread()
    assert thread.messages == [] and isinstance(thread.messages, list)


@page.says(".model - The `ez.Model` instance used by this thread")
def _(at: Bench) -> None:
    assert at.thread().model is at.model


@page.says(".sampler - The `ez.SamplerSettings` object used in this thread")
def _(at: Bench) -> None:
    assert at.thread().sampler is SHORT
    assert ez.Thread(at.model).sampler is DefaultSampling
    assert isinstance(at.thread().sampler, ez.SamplerSettings)


page.heading("Thread.create_message() -> Message")


@page.says("Construct a message using the format of this thread")
def _(at: Bench) -> None:
    message = at.thread().create_message("user", "Hello")
    assert isinstance(message, ez.thread.Message)
    assert message.as_string() == "<|im_start|>user\nHello<|im_end|>\n"


@page.says("to create a message and also add it [...], see `Thread.add_message()`")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.create_message("user", "Hello")
    assert thread.messages == []


@page.says("role: str - Must be one of `'system'`, `'user'`, or `'bot'`")
def _(at: Bench) -> None:
    check_roles(lambda thread, role: thread.create_message(role, "x")["role"], at)


@page.says("role: Case-insensitive")
def _(at: Bench) -> None:
    for role in ("USER", "Bot", "sysTEM"):
        assert at.thread().create_message(role, "x") == at.thread().create_message(role.lower(), "x")


@page.says("content: str - The content of the message")
def _(at: Bench) -> None:
    required(ez.Thread.create_message, "role", "content")
    assert at.thread().create_message("bot", " two\n lines ")["content"] == " two\n lines "


page.heading("Thread.len_messages() -> int")


@page.says("Return the total length of all messages in this thread, in tokens")
def _(at: Bench) -> None:
    thread = at.thread()
    assert thread.len_messages() == 0
    thread.add_message("user", "Hello")
    one = thread.len_messages()
    thread.add_message("bot", "Hi.")
    thread.add_message("user", "How are you today?")
    assert one < thread.len_messages()
    # The format's opening of the bot's turn counts as well: it is read with the messages.
    assert thread.len_messages() == at.model.get_length(f"{thread.as_string()}<|im_start|>assistant\n")


@page.says("Equivalent to `len(Thread)`")
def _(at: Bench) -> None:
    thread = at.thread()
    assert len(thread) == 0
    thread.add_message("user", "Hello")
    assert len(thread) == thread.len_messages() > 0


page.heading("Thread.add_message() -> None")


@page.says("Create a message and append it to `Thread.messages`")
def _(at: Bench) -> None:
    thread = at.thread()
    assert thread.add_message("user", "Hello") is None
    thread.add_message("bot", "Hi.")
    assert said(thread) == [("user", "Hello"), ("bot", "Hi.")]


@page.says("a shorthand for `Thread.messages.append(Thread.create_message(...))`")
def _(at: Bench) -> None:
    short, long = at.thread(), at.thread()
    short.add_message("system", "Be brief.")
    long.messages.append(long.create_message("system", "Be brief."))
    assert short.messages == long.messages
    assert short.inference_str_from_messages() == long.inference_str_from_messages()


@page.says("role: str - Must be one of `'system'`, `'user'`, or `'bot'`")
def _(at: Bench) -> None:
    def added(thread: ez.Thread, role: str) -> str:
        thread.add_message(role, "x")
        return thread.messages[-1]["role"]

    check_roles(added, at)


@page.says("role: Case-insensitive")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.add_message("UseR", "x")
    assert thread.messages == [thread.create_message("user", "x")]


@page.says("content: str - The content of the message")
def _(at: Bench) -> None:
    required(ez.Thread.add_message, "role", "content")
    thread = at.thread()
    thread.add_message("user", " two\n lines ")
    assert said(thread) == [("user", " two\n lines ")]


page.heading("Thread.inference_str_from_messages() -> str")


@page.says("Using the list of messages, construct a string suitable for inference")
def _(at: Bench) -> None:
    thread = at.thread()
    reply = thread.send("Say hello.")
    thread.messages.pop()
    assert at.model.generate(thread.inference_str_from_messages(), ["<|im_end|>"], SHORT) == reply


@page.says("respecting the format [...] of this thread")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.add_message("system", "Be brief.")
    thread.add_message("user", "Hello")
    assert thread.inference_str_from_messages() == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    other = at.thread(format=ez.formats.alpaca, messages=thread.messages)
    assert other.inference_str_from_messages() == ("Be brief.\n\n### Instruction:\nHello\n\n### Response:\n")


@page.says("respecting the [...] context length of this thread")
def _(at: Bench) -> None:
    thread = at.thread()
    for number in range(12):
        thread.add_message("user", f"Question {number}." + " word" * 300)
        thread.add_message("bot", f"Answer {number}.")
    thread.add_message("user", "And now?")
    with pytest.warns(ez.DroppedMessagesWarning):
        text = thread.inference_str_from_messages()
    assert at.model.get_length(text) < at.model.context_length < len(thread)
    assert "Question 0." not in text and "Answer 11." in text and "And now?" in text


page.heading("Thread.send() -> str")


@page.says("This adds your message and the bot's response to the list of messages")
def _(at: Bench) -> None:
    thread = at.thread()
    reply = thread.send("Say hello.")
    assert said(thread) == [("user", "Say hello."), ("bot", reply)]


@page.says("Returns a string containing the response to your message")
def _(at: Bench) -> None:
    reply = at.thread().send("What is the capital of France?")
    assert isinstance(reply, str) and "capital" in reply


@page.says("prompt: str - required")
def _(at: Bench) -> None:
    required(ez.Thread.send, "prompt")


page.heading("Thread.interact() -> None")


@page.says("Start an interactive chat session using this Thread")
def _(at: Bench) -> None:
    thread = at.thread()
    at.monkeypatch.setattr("sys.stdin", io.StringIO("Say hello.\nAgain.\n"))
    assert thread.interact() is None
    assert [role for role, _ in said(thread)] == ["user", "bot"] * 2
    assert said(thread)[2] == ("user", "Again.")
    printed = at.printed()
    assert said(thread)[1][1] in printed and said(thread)[3][1] in printed


@page.says("While text is being generated, press `^C` to interrupt the bot. Then [...] `ENTER` to re-roll")
def _(at: Bench) -> None:
    # Seen in a real terminal, where ^C is one. This keeps the pointer to it from going stale.
    there = Path(__file__).parent.parent / "terminal" / "test_interact.py"
    assert "def test_a_chat_is_stopped_rerolled_edited_saved_and_left(" in there.read_text("utf-8")


@page.says("At the prompt, press `^C` to end the chat session")
def _(at: Bench) -> None:
    thread = at.thread()
    assert talk(thread).getvalue() == "  > \n"
    assert thread.messages == []


@page.says("End your input with a backslash `\\` for multi-line input")
def _(at: Bench) -> None:
    thread = at.thread()
    talk(thread, "Say\\", "hello.")
    assert said(thread)[0] == ("user", "Say\nhello.")
    assert len(thread.messages) == 2


@page.says("Type `!` and press `ENTER` to enter a basic command prompt")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.add_message("user", "Hello")
    talk(thread, "!", "reset")
    assert thread.messages == []


@page.says("For a list of commands, type `help` at this prompt")
def _(at: Bench) -> None:
    listed = talk(at.thread(), "!", "help").getvalue()
    names = re.findall(r"^(?:  > )?(?:  ! )?  (\w+) ", listed, re.MULTILINE)
    assert {"help", "reset", "stats", "sampler", "reroll", "save", "exit"} <= {*names}
    for name in {*names} - {"save", "exit"}:
        assert "There is no command" not in talk(at.thread(), "!", name).getvalue()


@page.says("Type `<` and press `ENTER` to prefix the bot's next message, for example with `Sure!`")
def _(at: Bench) -> None:
    thread = at.thread()
    talk(thread, "<", "Sure!", "Say hello.", "Again.")
    replies = [content for role, content in said(thread) if role == "bot"]
    assert replies[0].startswith("Sure!") and replies[0] != "Sure!"
    assert at.thread(messages=thread.messages[:2]).send("Again.") == replies[1]
    assert "<|im_start|>assistant\nSure!" in thread.as_string()


@page.says("Type `!!` at the prompt and press `ENTER` to insert a system message")
def _(at: Bench) -> None:
    thread = at.thread()
    talk(thread, "!!", "Be brief.")
    assert said(thread) == [("system", "Be brief.")]


@page.says("color: bool - Whether to use colored text to differentiate user / bot. Defaults to `True`")
def _(at: Bench) -> None:
    assert default(ez.Thread.interact, "color") is True
    coloured = talk(at.thread(), "Say hello.", tty=True).getvalue()
    user, bot = re.findall(r"\x1b\[(\d+)m(?:  > |\w)", coloured)[:2]
    assert user != bot
    assert "\x1b" not in talk(at.thread(), "Say hello.", tty=True, color=False).getvalue()


@page.says("header: str - Header text to print at the start of the interaction. Defaults to `None`")
def _(at: Bench) -> None:
    assert default(ez.Thread.interact, "header") is None
    at.monkeypatch.setattr("sys.stdin", io.StringIO(""))
    at.thread().interact(header="Welcome")
    assert at.printed().startswith("Welcome\n  > ")
    at.thread().interact()
    assert at.printed().startswith("  > ")


@page.says("stream: bool - Whether to stream text as it is generated. [...] Defaults to `True`")
def _(at: Bench) -> None:
    assert default(ez.Thread.interact, "stream") is True
    thread = at.thread()
    screen = talk(thread, "Say hello.")
    assert said(thread)[1][1] not in "\0".join(screen.writes)
    assert said(thread)[1][1] in screen.getvalue()


@page.says("stream: If `False`, then print generated messages all at once")
def _(at: Bench) -> None:
    thread = at.thread()
    screen = talk(thread, "Say hello.", stream=False)
    assert sum(said(thread)[1][1] in write for write in screen.writes) == 1


page.heading("Thread.reset() -> None")


@page.says("Clear the list of messages")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.send("Say hello.")
    assert thread.reset() is None
    assert thread.messages == []


@page.says("which resets the thread to its original state")
def _(at: Bench) -> None:
    thread = at.thread()
    first = thread.send("Say hello.")
    thread.add_message("system", "Be rude.")
    thread.reset()
    assert thread.send("Say hello.") == first
    given = at.thread(messages=[thread.create_message("system", "Be brief.")])
    given.add_message("user", "Hello")
    given.reset()
    assert said(given) == [("system", "Be brief.")]


page.heading("Thread.as_string() -> str")


@page.says("Return the thread's message history as a string")
def _(at: Bench) -> None:
    thread = at.thread()
    assert thread.as_string() == ""
    thread.add_message("user", "Hello")
    thread.add_message("bot", "Hi.")
    assert thread.as_string() == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n"


page.heading("Thread.print_stats() -> None")


@page.says("443 / 8192 tokens, 5% of context used, 7 messages")
def _(at: Bench) -> None:
    thread = at.thread()
    for number in range(7):
        thread.add_message("bot" if number % 2 else "user", f"Message {number}." + " word" * 20)
    assert thread.print_stats() is None
    found = re.fullmatch(r"(\d+) / 2048 tokens\n(\d+)% of context used\n7 messages\n", at.printed())
    assert found
    assert int(found[1]) == len(thread)
    assert int(found[2]) == round(100 * len(thread) / 2048) > 5


@page.says("file: _SupportsWriteAndFlush - Defaults to `sys.stdout`")
def _(at: Bench) -> None:
    file = Screen()
    at.thread().print_stats(file=file)
    assert at.printed() == ""
    at.thread().print_stats()
    assert at.printed() == file.getvalue() == "0 / 2048 tokens\n0% of context used\n0 messages\n"


page.heading("class ez.thread.Message")


@page.says("A dictionary representing a single message within a Thread")
def _(at: Bench) -> None:
    thread = at.thread()
    thread.send("Say hello.")
    assert all(type(message) is ez.thread.Message for message in thread.messages)


@page.says("Works just like a normal `dict`")
def _(at: Bench) -> None:
    message = at.thread().create_message("user", "Hello")
    assert isinstance(message, dict)
    assert message == dict(message) and {**message} == dict(message)
    assert json.loads(json.dumps(message)) == message
    message["content"] = "Bye"
    message.update(note="x")
    assert message.get("content") == "Bye" and message.pop("note") == "x" and "note" not in message
    assert message.get("nonsense") is None
    with pytest.raises(KeyError, match="nonsense"):
        _ = message["nonsense"]
    assert ez.thread.Message({"role": "bot"}) == ez.thread.Message(role="bot") == {"role": "bot"}


@page.says("`.as_string` - Return the full message string")
def _(at: Bench) -> None:
    assert at.thread().create_message("bot", "Hi.").as_string() == "<|im_start|>assistant\nHi.<|im_end|>\n"


@page.says("`role` - The role of the speaker: 'system', 'user', or 'bot'")
def _(at: Bench) -> None:
    for role in ("system", "user", "bot"):
        assert at.thread().create_message(role, "x")["role"] == role


@page.says("`prefix` - The text that prefixes the message content")
def _(at: Bench) -> None:
    assert at.thread().create_message("bot", "x")["prefix"] == "<|im_start|>assistant\n"


@page.says("`content` - The actual content of the message")
def _(at: Bench) -> None:
    assert at.thread().create_message("bot", "x")["content"] == "x"


@page.says("`postfix` - The text that postfixes the message content")
def _(at: Bench) -> None:
    message = at.thread().create_message("bot", "x")
    assert message["postfix"] == "<|im_end|>\n"
    assert list(message) == ["role", "prefix", "content", "postfix"]


@page.silent("message['suffix'] reads the postfix")
def _(at: Bench) -> None:
    message = at.thread().create_message("bot", "x")
    message["postfix"] = "!"
    assert message["suffix"] == "!"


page.heading("Message.as_string() -> str")


@page.says("Return the full text of a message, including the prefix, content, and postfix")
def _(at: Bench) -> None:
    message = ez.thread.Message(role="user", prefix="<", content="x", postfix=">")
    assert message.as_string() == "<x>"
    message["content"] = "y"
    assert message.as_string() == "<y>"


page.heading("class ez.samplers.SamplerSettings")


@page.says("passed as an optional parameter to `Thread()`")
def _(at: Bench) -> None:
    thread = ez.Thread(at.model, ez.formats.chatml, sampler=SHORT.replace(max_len_tokens=3))
    thread.send("Tell me a long story.")
    assert len(at.model.tokenize(thread.messages[-1]["content"])) == 3


@page.says("passed as an optional parameter to `Model.generate()`, `Model.stream()`, `Model.stream_print()`")
def _(at: Bench) -> None:
    three = SHORT.replace(max_len_tokens=3)
    for text in (
        at.model.generate(SKY, sampler=three),
        "".join(texts(at.model.stream(SKY, sampler=three))),
        at.model.stream_print(SKY, sampler=three, file=Screen()),
    ):
        assert len(at.model.tokenize(text)) == 3


@page.silent("SamplerSettings never change")
def _(at: Bench) -> None:
    settings = SamplerSettings()
    with pytest.raises(FrozenInstanceError):
        settings.temp = 0.1  # type: ignore[misc]
    assert settings.replace(temp=0.1) != settings == DefaultSampling


page.heading("ez.samplers.SamplerSettings.__init__()")


@page.says("values will default to the current `llama.cpp` defaults")
def _(at: Bench) -> None:
    documented = "max_len_tokens temp top_p min_p frequency_penalty presence_penalty repeat_penalty top_k"
    found = {name: default(SamplerSettings, name) for name in documented.split()}
    # `struct common_params_sampling` in llama.cpp's common/common.h, and its n_predict.
    assert found == {
        "max_len_tokens": -1,
        "temp": 0.8,
        "top_p": 0.95,
        "min_p": 0.05,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "repeat_penalty": 1.0,
        "top_k": 40,
    }


@page.says("max_len_tokens: int - The maximum length of generations, in tokens")
def _(at: Bench) -> None:
    for length in (1, 5):
        last = finished(at, SKY, SHORT.replace(max_len_tokens=length))
        assert (last.generated_tokens, last.reason) == (length, "length")


@page.says("max_len_tokens: Set to less than 1 for unlimited")
def _(at: Bench) -> None:
    small = at.load()
    prompt = "word " * 240
    room = small.context_length - small.get_length(prompt)
    # "word" goes on for ever: only the end of the context is left.
    for length in (0, -1):
        last = finished(at, prompt, SHORT.replace(max_len_tokens=length), small)
        assert last.reason == "length" and last.generated_tokens == room + 1 > 8


@page.says("temp: float - The temperature value to use, which control randomness")
def _(at: Bench) -> None:
    plain, hot = (logits_left(at, only(temp=temp)) for temp in (1.0, 2.0))
    assert {token: plain[token] / 2 for token in plain} == pytest.approx(hot)
    assert likeliest(at, only(temp=0.5)) > likeliest(at, only(temp=1.0)) > likeliest(at, only(temp=2.0))


@page.says("top_p: float - Nucleus sampling")
def _(at: Bench) -> None:
    every = shares(logits_left(at, SimpleSampling))
    kept = logits_left(at, only(top_p=0.6))
    assert [*shares(kept)] == [*every][: len(kept)]
    assert sum(every[token] for token in kept) >= 0.6 > sum(every[token] for token in [*shares(kept)][:-1])


@page.says("min_p: float - Min-P sampling")
def _(at: Bench) -> None:
    check_min_p(at, only(min_p=0.07), 0.07)


@page.says("frequency_penalty: float - based on the frequency with which [tokens] appear in the input")
def _(at: Bench) -> None:
    seen = at.model.tokenize(MAT)
    expected = {token: 0.5 * seen.count(token) for token in seen}
    assert max(expected.values()) > 1
    assert penalty(at, only(frequency_penalty=0.5)) == pytest.approx(expected, abs=1e-4)


@page.says("presence_penalty: float - Flat penalty applied to tokens if they appear in the input")
def _(at: Bench) -> None:
    expected = dict.fromkeys(at.model.tokenize(MAT), 0.5)
    assert penalty(at, only(presence_penalty=0.5)) == pytest.approx(expected, abs=1e-4)


@page.says("repeat_penalty: float - Penalty applied to repetitive tokens")
def _(at: Bench) -> None:
    found = penalty(at, only(repeat_penalty=1.3))
    assert {*found} == {*at.model.tokenize(MAT)}
    assert all(taken > 0 for taken in found.values())


@page.says("top_k: int - The number of most likely tokens to consider when sampling")
def _(at: Bench) -> None:
    every = [*shares(logits_left(at, SimpleSampling))]
    for k in (1, 5, 40):
        assert {*logits_left(at, only(top_k=k))} == {*every[:k]}


@page.silent("`None` switches a sampler off")
def _(at: Bench) -> None:
    off = {"temp": None, "top_p": None, "min_p": None, "top_k": None}
    off |= {"frequency_penalty": None, "presence_penalty": None, "repeat_penalty": None}
    plain = logits_left(at, SimpleSampling)
    assert logits_left(at, SamplerSettings(**off)) == plain
    for name in off:
        assert logits_left(at, only(**{name: None})) == plain
    unlimited = finished(at, WOOF, GreedyDecoding.replace(max_len_tokens=None))
    assert unlimited.reason == "stop" and unlimited.generated_tokens > 8


page.heading("Preset samplers")


@page.says("GreedyDecoding - Most likely next token is always chosen (temperature = 0.0)")
def _(at: Bench) -> None:
    assert ez.samplers.GreedyDecoding.temp == 0.0
    prompt = SKY
    for text in texts(at.model.stream(SKY, sampler=SHORT)):
        likeliest_token = at.model.vocab.index(at.model.candidates(prompt, 1)[0][0])
        assert not text or at.model.detokenize([likeliest_token]) == text
        prompt += text
    assert len(prompt) > len(SKY) + 20


@page.says("DefaultSampling - Use `llama.cpp` default values for sampling")
def _(at: Bench) -> None:
    assert ez.samplers.DefaultSampling == SamplerSettings()


@page.says("ClassicSampling - Reflects old `llama.cpp` defaults")
def _(at: Bench) -> None:
    # `struct gpt_params` in llama.cpp's examples/common.h of 2023, before there was min-p.
    classic = ez.samplers.ClassicSampling
    assert (classic.temp, classic.top_k, classic.top_p, classic.repeat_penalty) == (0.8, 40, 0.95, 1.1)
    assert classic.min_p == 0.0


@page.says("SimpleSampling - Original probability distribution")
def _(at: Bench) -> None:
    logits = at.model.engine.logits(at.model.tokenize(MAT))
    assert logits_left(at, ez.samplers.SimpleSampling) == dict(enumerate(logits.tolist()))


@page.says("SemiSampling - Halfway between DefaultSampling and SimpleSampling")
def _(at: Bench) -> None:
    for name in ("temp", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repeat_penalty"):
        ends = getattr(DefaultSampling, name), getattr(SimpleSampling, name)
        assert getattr(ez.samplers.SemiSampling, name) == pytest.approx(sum(ends) / 2)
    kept = [
        len(logits_left(at, settings))
        for settings in (DefaultSampling, ez.samplers.SemiSampling, SimpleSampling)
    ]
    assert kept[0] < kept[1] < kept[2]


@page.says("TikTokenSampling - Recommended for models with a large vocabulary, [...] which tend to run hot")
def _(at: Bench) -> None:
    tik_token = ez.samplers.TikTokenSampling
    assert likeliest(at, tik_token.replace(repeat_penalty=1.0)) > likeliest(at, DefaultSampling)
    assert {*penalty(at, only(repeat_penalty=tik_token.repeat_penalty))} == {*at.model.tokenize(MAT)}


@page.says("LowMinPSampling - Use Min-P as the only active sampler (weak)")
def _(at: Bench) -> None:
    check_min_p(at, ez.samplers.LowMinPSampling, 0.05)


@page.says("MinPSampling - Use Min-P as the only active sampler (moderate)")
def _(at: Bench) -> None:
    check_min_p(at, ez.samplers.MinPSampling, 0.1)


@page.says("StrictMinPSampling - Use Min-P as the only active sampler (strict)")
def _(at: Bench) -> None:
    check_min_p(at, ez.samplers.StrictMinPSampling, 0.2)


@page.says("ContrastiveSearch - Use contrastive search with a moderate alpha value")
def _(at: Bench) -> None:
    check_contrastive(at, ez.samplers.ContrastiveSearch, 0.4)


@page.says("WarmContrastiveSearch - Use contrastive search with a high alpha value")
def _(at: Bench) -> None:
    check_contrastive(at, ez.samplers.WarmContrastiveSearch, 0.8)


@page.says("RandomSampling - Output completely random tokens from vocab (useless)")
def _(at: Bench) -> None:
    found = shares(logits_left(at, ez.samplers.RandomSampling))
    assert len(found) == at.model.n_vocab
    assert [*found.values()] == pytest.approx([1 / at.model.n_vocab] * at.model.n_vocab, rel=1e-3)


@page.says("LowTempSampling - Default sampling with reduced temperature")
def _(at: Bench) -> None:
    low = ez.samplers.LowTempSampling
    assert low.replace(temp=DefaultSampling.temp) == DefaultSampling
    assert likeliest(at, low) > likeliest(at, DefaultSampling)


@page.says("HighTempSampling - Default sampling with increased temperature")
def _(at: Bench) -> None:
    high = ez.samplers.HighTempSampling
    assert high.replace(temp=DefaultSampling.temp) == DefaultSampling
    assert likeliest(at, high) < likeliest(at, DefaultSampling)


page.heading("ez.formats")


@page.says("several built-in prompt formats [...] such as Llama 3, Mistral Instruct, Vicuna, Guanaco")
def _(at: Bench) -> None:
    for family in ("llama3", "mistral_instruct", "vicuna", "guanaco"):
        assert any(name.startswith(family) for name in ez.formats.names())
    assert len(ez.formats.names()) > 10


@page.says("For a complete list of available formats, see formats.py")
def _(at: Bench) -> None:
    for name in ez.formats.names():
        assert getattr(ez.formats, name) == ez.formats.get(name)
        assert name in dir(ez.formats)


@page.says("Formats are instances of `dict`")
def _(at: Bench) -> None:
    for name in ez.formats.names():
        assert isinstance(getattr(ez.formats, name), dict)
        assert {*getattr(ez.formats, name)} >= {*ez.formats.alpaca}


@page.says("alpaca: dict[str, Union[str, list]]")
def _(at: Bench) -> None:
    assert ez.formats.alpaca == {
        "system_prefix": "",
        "system_prompt": (
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request."
        ),
        "system_suffix": "\n\n",
        "user_prefix": "### Instruction:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Response:\n",
        "bot_suffix": "\n\n",
        "stops": ["###", "Instruction:", "\n\n\n"],
    }


def check_default(function: Callable[..., object], name: str) -> Sequence[object]:
    found = default(function, name)
    assert isinstance(found, Sequence)
    return found


def check_stops(generate: Callable[[list[str | int]], str], at: Bench) -> None:
    """Check that a string, an id and both together end a text of several tokens early."""
    whole = generate([])
    ids = at.model.tokenize(whole, add_special=False)
    string = whole[6:9]
    by_string, by_id = whole[: whole.index(string)], at.model.detokenize(ids[: ids.index(ids[4])])
    assert 0 < len(by_string) < len(by_id) < len(whole)
    assert generate([string]) == by_string
    assert generate([ids[4]]) == by_id
    assert generate([ids[4], string]) == by_string


def check_roles(role_of: Callable[[ez.Thread, str], str], at: Bench) -> None:
    for role in ("system", "user", "bot"):
        assert role_of(at.thread(), role) == role
    for role in ("assistant", "robot", ""):
        with pytest.raises(ValueError, match=f"{role!r}"):
            role_of(at.thread(), role)


def check_min_p(at: Bench, settings: SamplerSettings, least: float) -> None:
    """Check that what is left is what is likely enough, and as likely among itself as before."""
    assert settings.min_p == least
    every = shares(logits_left(at, SimpleSampling))
    bound = least * max(every.values())
    expected = {token: share for token, share in every.items() if share >= bound}
    assert len(expected) > 1
    total = sum(expected.values())
    found = shares(logits_left(at, settings))
    assert found == pytest.approx({token: share / total for token, share in expected.items()}, rel=1e-4)


def check_contrastive(at: Bench, settings: SamplerSettings, alpha: float) -> None:
    """Check that the likeliest token is taken after `alpha` is taken off what was said before."""
    assert settings.temp == 0.0
    expected = dict.fromkeys(at.model.tokenize(MAT), alpha)
    assert penalty(at, settings) == pytest.approx(expected, abs=1e-4)
    left = logits_left(at, settings)
    first = at.model.events(MAT, sampler=settings.replace(max_len_tokens=1))
    assert [event.id for event in first if hasattr(event, "id")] == [max(left, key=left.__getitem__)]


@pytest.mark.parametrize("promise", page.promises, ids=[promise.id for promise in page.promises])
def test_the_page(promise: Promise, at: Bench) -> None:
    promise.check(at)


def test_every_heading_of_the_page_is_walked_in_its_order() -> None:
    assert tuple(dict.fromkeys(promise.heading for promise in page.promises)) == HEADINGS


def test_no_promise_is_there_twice() -> None:
    ids = [promise.id for promise in page.promises]
    assert len({*ids}) == len(ids) > 100

"""What the app makes of a model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama import draft_model, formats
from easy_llama.errors import (
    ExceededContextLengthException,
    GGUFError,
    ModelLoadError,
    ModelUnloadedException,
)
from easy_llama.events import CancelFlag, Candidates, Event, Finished, LiveSettings, Token
from easy_llama.gguf import open_gguf
from easy_llama.loading import computing_bytes
from easy_llama.prompt import Generated, Turn
from easy_llama.samplers import DefaultSampling, GreedyDecoding
from easy_llama_tui.chats.context_window import PathTurn, Policy
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.models.free_memory import free_memory
from easy_llama_tui.replies import loading_choice
from easy_llama_tui.replies.engine import (
    OWN_FORMAT,
    LoadedModel,
    LoadOptions,
    MemoryDoubtError,
    RenderedPrompt,
)
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.generation import ReplyRequest, run_reply
from easy_llama_tui.replies.inspection import DRAFT, InspectionRequest, inspect
from easy_llama_tui.replies.local_engine import LocalEngine
from easy_llama_tui.replies.messages import ReplyEnded, ReplyText

CATALOG = FormatCatalog(
    {"mine": {**formats.get("chatml"), "user_prefix": "Person: ", "bot_prefix": "Cat: ", "stops": ["\n"]}}
)
HELLO = (Turn("user", "Say hello."),)
SHORT = GreedyDecoding.replace(max_len_tokens=8)
CACHE_BYTES_A_TOKEN = 23_040
"""30 layers, 3 heads of 64, keys and values, 2 bytes each."""


def load(path: Path, **options: object) -> tuple[LocalEngine, LoadedModel]:
    engine = LocalEngine(CATALOG)
    return engine, engine.load(LoadOptions(path, **options), lambda share: True)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(model_path: Path) -> Iterator[LocalEngine]:
    engine, _ = load(model_path, context_length=512)
    yield engine
    engine.close()


def conversation(*texts: str, system: str = "Be brief. \u2026") -> Conversation:
    """Return a conversation of which you and the bot wrote the texts in turns."""
    chat = Conversation()
    chat.add("system", system)
    for number, text in enumerate(texts):
        chat.add("bot" if number % 2 else "user", text)
    return chat


TALK = ("What does the cat say?", "Meow \U0001f408, it says.", "And the dog?\n")


class TestLoading:
    def test_all_of_the_context_is_loaded_where_memory_allows(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading_choice, "free_memory", lambda: 10**12)
        engine, loaded = load(model_path)
        assert (loaded.context_length, loaded.format_label, loaded.notices) == (8192, "chat template", ())
        assert loaded.cache_bytes == 8192 * CACHE_BYTES_A_TOKEN
        engine.close()

    def test_a_quantised_cache_is_counted_as_what_it_takes(self, model_path: Path) -> None:
        wishes = {"cache_type_k": "q8_0", "cache_type_v": "q4_0", "flash_attn": True, "n_batch": 64}
        engine, loaded = load(model_path, context_length=512, **wishes)
        assert loaded.cache_bytes == 512 * 30 * 3 * 64 * (34 + 18) // 32
        assert (loaded.cache_type_k, loaded.cache_type_v, loaded.n_batch) == ("q8_0", "q4_0", 64)
        engine.close()

    def test_whether_tokens_are_guessed_is_told(self, model_path: Path) -> None:
        for wish in (None, False):
            engine, loaded = load(model_path, context_length=512, prompt_lookup=wish)
            assert loaded.prompt_lookup is (wish is None)
            engine.close()

    def test_a_draft_model_is_loaded_and_told(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(draft_model, "_share_of_weights", lambda draft, model: 0.1)
        engine, loaded = load(model_path, context_length=512, draft_model=model_path)
        assert (loaded.draft_model, loaded.notices) == (model_path, ())
        assert engine._model.draft_model == str(model_path)
        engine.close()

    @pytest.mark.parametrize("content", [None, b"Buy fruit.", b"the model itself"])
    def test_without_a_draft_model_that_does_not_go_with_it_the_model_is_loaded(
        self, model_path: Path, tmp_path: Path, content: bytes | None
    ) -> None:
        draft = tmp_path / "draft.gguf"
        if content == b"the model itself":  # which is too large for that
            draft.symlink_to(model_path)
        elif content:
            draft.write_bytes(content)
        engine, loaded = load(model_path, context_length=512, draft_model=draft)
        assert (loaded.context_length, loaded.draft_model) == (512, None)
        (notice,) = loaded.notices
        assert notice.startswith("The model is loaded without a draft model.") and "draft.gguf" in notice
        assert engine._model.draft_model is None
        engine.close()

    def test_what_a_draft_model_takes_is_needed_too(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needed = []
        for draft in (None, model_path):
            monkeypatch.setattr(loading_choice, "free_memory", lambda: 1024)
            with pytest.raises(MemoryDoubtError) as doubted:
                load(model_path, context_length=512, draft_model=draft)
            needed.append(doubted.value.doubt.needed_bytes)
        assert needed[1] == 2 * needed[0]

    def test_loading_is_not_begun_again_where_it_was_stopped_in_the_draft(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shares: list[float] = []
        engine = LocalEngine(CATALOG)
        with pytest.raises(ModelLoadError, match="stopped"):
            engine.load(
                LoadOptions(model_path, 512, draft_model=model_path),
                lambda share: shares.append(share) is None and share < 0.7,
            )
        assert shares == sorted(shares)

    def test_what_a_quarter_of_the_free_memory_holds_is_loaded_and_said(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading_choice, "free_memory", lambda: 4 * CACHE_BYTES_A_TOKEN * 3_500)
        engine, loaded = load(model_path)
        assert loaded.context_length == engine.context_length == 3072
        assert "3,072 tokens" in loaded.notices[0] and "--context-length 8192" in loaded.notices[0]
        engine.close()

    def test_a_model_that_may_not_fit_is_loaded_only_in_spite_of_that(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading_choice, "free_memory", lambda: 100_000_000)
        with pytest.raises(MemoryDoubtError) as doubted:
            load(model_path)
        doubt = doubted.value.doubt
        assert (doubt.context_length, doubt.shorter_context, doubt.free_bytes) == (1024, None, 100_000_000)
        engine, loaded = load(model_path, in_spite_of_memory=True)
        assert loaded.context_length == 1024
        assert "1,024 tokens" in loaded.notices[0]
        engine.close()

    def test_a_context_that_may_not_fit_is_doubted_and_a_shorter_one_offered(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading_choice, "free_memory", lambda: 350_000_000)
        with pytest.raises(MemoryDoubtError) as doubted:
            load(model_path, context_length=8192)
        doubt = doubted.value.doubt
        assert doubt.needed_bytes > doubt.free_bytes
        assert doubt.shorter_context is not None and 1024 <= doubt.shorter_context < 8192
        engine, loaded = load(model_path, context_length=doubt.shorter_context)
        assert (loaded.context_length, loaded.notices) == (doubt.shorter_context, ())
        engine.close()

    def test_a_model_that_is_doubted_leaves_none(
        self, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine, _ = load(model_path, context_length=256)
        monkeypatch.setattr(loading_choice, "free_memory", lambda: 1024)
        with pytest.raises(MemoryDoubtError):
            engine.load(LoadOptions(model_path), lambda share: True)
        with pytest.raises(ModelUnloadedException):
            engine.render(HELLO, OWN_FORMAT)

    def test_what_computing_takes_is_known_before(
        self, model_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for length, flash_attn in ((1024, False), (8192, False), (8192, True)):
            caplog.clear()
            with caplog.at_level("DEBUG", "easy_llama"), open_gguf(model_path) as header:
                load(model_path, context_length=length, flash_attn=flash_attn)[0].close()
                estimate = computing_bytes(header.metadata, length, flash_attn=flash_attn)
            (said,) = re.findall(r"CPU compute buffer size = +([\d.]+) MiB", caplog.text)
            assert 0.9 < estimate / (float(said) * 2**20) < 1.1

    def test_a_context_far_beyond_the_models_own_is_spoken_of(self, model_path: Path) -> None:
        engine, loaded = load(model_path, context_length=16384)
        (notice,) = loaded.notices
        assert "16,384" in notice and "8,192" in notice
        engine.close()

    def test_wished_gpu_layers_without_a_gpu_are_spoken_of(self, model_path: Path) -> None:
        engine, loaded = load(model_path, context_length=256, n_gpu_layers=5)
        from easy_llama.model import supports_gpu_offload

        assert any("no GPU support" in notice for notice in loaded.notices) != supports_gpu_offload()
        engine.close()

    def test_another_load_takes_the_place_of_the_first(self, model_path: Path) -> None:
        engine, _ = load(model_path, context_length=256)
        shares: list[float] = []

        def on_progress(share: float) -> bool:
            shares.append(share)
            return True

        assert engine.load(LoadOptions(model_path, 512), on_progress).context_length == 512
        assert engine.context_length == 512
        assert shares == sorted(shares) and shares[-1] == 1.0
        engine.close()

    def test_a_load_that_is_stopped_leaves_no_model(self, model_path: Path) -> None:
        engine, _ = load(model_path, context_length=256)
        with pytest.raises(ModelLoadError):
            engine.load(LoadOptions(model_path, 256), lambda share: False)
        with pytest.raises(ModelUnloadedException, match="/model"):
            engine.render(HELLO, OWN_FORMAT).ids  # noqa: B018
        engine.close()

    def test_a_file_that_is_no_model_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"nonsense, and not a little")
        with pytest.raises(GGUFError, match=r"x\.gguf"):
            load(tmp_path / "x.gguf")

    def test_each_file_of_a_split_model_has_to_be_whole(self, model_path: Path, tmp_path: Path) -> None:
        first, second = (tmp_path / f"tiny-0000{part}-of-00002.gguf" for part in (1, 2))
        first.symlink_to(model_path)
        with pytest.raises(GGUFError, match=f"{second.name} does not exist"):
            load(first)
        second.write_bytes(model_path.read_bytes()[:4_000_000])
        with pytest.raises(GGUFError, match=f"{second.name} is truncated"):
            load(first)

    def test_a_closed_engine_has_no_model(self, model_path: Path) -> None:
        engine, _ = load(model_path, context_length=256)
        engine.close()
        engine.close()
        with pytest.raises(ModelUnloadedException, match="no model is loaded; /model"):
            engine.context_length  # noqa: B018

    def test_the_free_memory_is_known_here(self) -> None:
        memory = free_memory()
        assert memory is not None and memory > 2**20


def text_of(engine: LocalEngine, prompt: RenderedPrompt) -> str:
    # Not token by token: a character may be made of several.
    return engine._model.tokenizer.decode(prompt.ids, special=True)


class TestPrompts:
    def test_the_models_own_format_and_others_are_known_by_name(self, engine: LocalEngine) -> None:
        assert text_of(engine, engine.render(HELLO, OWN_FORMAT)).endswith(
            "<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n"
        )
        assert "### Instruction:\nSay hello." in text_of(engine, engine.render(HELLO, "alpaca"))
        assert text_of(engine, engine.render(HELLO, "mine")) == "Person: Say hello.<|im_end|>\nCat: "
        with pytest.raises(ValueError, match="'chatml'"):
            engine.render(HELLO, "chatmll")

    def test_an_opening_is_the_end_of_the_prompt(self, engine: LocalEngine) -> None:
        ids = engine.render([], "chatml", opening=Turn("bot", "Well, hello")).ids[-2:]
        opened = engine.render(HELLO, OWN_FORMAT, opening=Turn("bot", "Well, hello"))
        assert text_of(engine, opened).endswith("<|im_start|>assistant\nWell, hello")
        assert opened.ids[-2:] == ids
        # Known ids are kept, whatever the text would be split into.
        letters = tuple(engine._model.tokenizer.encode_plain(letter, continues=True)[0] for letter in "Well")
        known = engine.render(HELLO, OWN_FORMAT, opening=Turn("bot", "Well", letters))
        assert known.ids[-4:] == letters

    @settings(max_examples=40)
    @given(st.text("abcü🦙 \n", max_size=12), st.integers(0, 12), st.text("xyü🦙", max_size=3))
    def test_only_what_a_person_changed_of_an_opening_is_tokenized_anew(
        self, engine: LocalEngine, text: str, cut: int, tail: str
    ) -> None:
        tokenizer = engine._model.tokenizer
        ids = tuple(tokenizer.encode_plain(text, continues=True)) if text else ()
        changed = text[:cut] + tail
        prompt = engine.render(HELLO, "chatml", opening=Turn("bot", changed, ids))
        opening = prompt.pieces[len(prompt.pieces) - prompt.opening_pieces :]
        assert "".join(piece.text for piece in opening) == changed
        kept = opening[0].ids if opening and isinstance(opening[0], Generated) else ()
        # As many are kept as spell whole characters of the new text.
        spelled = (b"".join(map(tokenizer.bytes_of, ids[:count])) for count in range(len(ids) + 1))
        texts = [data.decode("utf-8", "replace") for data in spelled]
        fits = ["\ufffd" not in one and changed.startswith(one) for one in texts]
        assert kept == ids[: max(count for count, does in enumerate(fits) if does)]

    def test_an_edited_reply_goes_on_from_the_tokens_that_are_left(self, engine: LocalEngine) -> None:
        asked = (PathTurn(HELLO[0], ("m1",)),)

        def reply(opening: Turn | None) -> ReplyEnded:
            posted: list[object] = []
            request = ReplyRequest(asked, "chatml", SHORT, opening=opening)
            run_reply(engine, 1, request, CancelFlag(), LiveSettings(), posted.append)
            assert isinstance(posted[-1], ReplyEnded)
            return posted[-1]

        first = reply(None)
        left = first.ids[:3]
        text = "".join(engine.token_texts(left)) + " cat"
        second = reply(Turn("bot", text, first.ids))
        assert second.ids[:3] == left
        assert "".join(engine.token_texts(second.ids)).startswith(text)
        assert second.figures.reused_tokens >= len(engine.render(HELLO, "chatml").ids) + len(left)

    @pytest.mark.parametrize("name", [OWN_FORMAT, "chatml", "alpaca"])
    def test_a_prompt_can_end_with_any_message_left_open(self, engine: LocalEngine, name: str) -> None:
        turns = [one.turn for one in conversation(*TALK).turns()]
        whole = text_of(engine, engine.render(turns, name))
        for number, turn in enumerate(turns):
            text = text_of(engine, engine.render(turns, name, through=number))
            assert text.endswith(turn.content.strip()) or text.endswith(turn.content)
            assert whole.startswith(text)

    def test_names_of_control_tokens_that_a_person_writes_stay_text(self, engine: LocalEngine) -> None:
        prompt = engine.render([Turn("user", "<|im_end|>")], OWN_FORMAT)
        plain = engine.render([Turn("user", "x")], OWN_FORMAT)
        end = next(
            token
            for token, text in zip(plain.ids, engine.token_texts(plain.ids), strict=True)
            if text == "<|im_end|>"
        )
        assert prompt.ids.count(end) == plain.ids.count(end)
        assert len(prompt.ids) > len(plain.ids)

    @pytest.mark.parametrize("name", (OWN_FORMAT, "mine", *formats.names()))
    def test_the_place_of_every_token_is_known(self, engine: LocalEngine, name: str) -> None:
        prompt = engine.render([one.turn for one in conversation(*TALK).turns()], name)
        places = engine.places(prompt)
        assert len(places) == len(prompt.ids)
        assert list(places) == sorted(places)
        assert places[-1] < len(prompt.pieces)


class TestWarnings:
    def test_the_models_own_format_has_none(self, engine: LocalEngine) -> None:
        turns = [one.turn for one in conversation(*TALK).turns()]
        assert engine.format_warnings(OWN_FORMAT, turns) == ()
        assert engine.format_warnings("chatml", turns) == ()

    def test_control_tokens_that_the_model_does_not_have_are_named(self, engine: LocalEngine) -> None:
        (first, *_) = engine.format_warnings("llama3", HELLO)
        assert "<|start_header_id|>" in first and "plain text" in first

    @pytest.mark.parametrize(
        ("roles", "said"),
        [(("bot", "user"), "begins with the bot"), (("user", "bot", "bot"), "do not take turns")],
    )
    def test_turns_that_are_unusual_are_named(
        self, engine: LocalEngine, roles: tuple[str, ...], said: str
    ) -> None:
        turns = [Turn(role, "x") for role in roles]  # type: ignore[arg-type]
        (only,) = engine.format_warnings("chatml", turns)
        assert said in only


class TestReplies:
    def events(self, engine: LocalEngine, name: str, live: LiveSettings | None = None) -> list[Event]:
        prompt = engine.render(HELLO, name)
        return list(engine.generate(prompt, name, SHORT, CancelFlag(), live or LiveSettings()))

    @pytest.mark.parametrize("name", [OWN_FORMAT, "alpaca"])
    def test_they_are_written_in_each_format(self, engine: LocalEngine, name: str) -> None:
        events = self.events(engine, name)
        assert "".join(event.text for event in events if isinstance(event, Token))
        assert isinstance(events[-1], Finished)

    def test_they_end_at_the_stops_of_the_format(self, engine: LocalEngine) -> None:
        texts = [getattr(event, "text", "") for event in self.events(engine, "chatml")]
        first, second, *_ = "".join(texts).split()
        stopping = FormatCatalog({"stopping": {**formats.get("chatml"), "stops": [second]}})
        engine._catalog, before = stopping, engine._catalog
        try:
            events = self.events(engine, "stopping")
        finally:
            engine._catalog = before
        last = events[-1]
        assert isinstance(last, Finished) and last.reason == "stop"
        assert "".join(getattr(event, "text", "") for event in events).strip() == first

    def test_what_could_come_next_is_seen_on_the_way(self, engine: LocalEngine) -> None:
        seen = self.events(engine, OWN_FORMAT, LiveSettings(candidates=3))
        looks = [event for event in seen if isinstance(event, Candidates)]
        tokens = [event for event in seen if isinstance(event, Token)]
        assert [look.position for look in looks[:8]] == list(range(8))
        # Greedy decoding draws the likeliest.
        for look, token in zip(looks, tokens, strict=False):
            assert look.distribution.candidates[0].id == token.id

    def test_what_could_come_next_is_what_comes(self, engine: LocalEngine) -> None:
        prompt = engine.render(HELLO, OWN_FORMAT)
        found = engine.next_tokens(prompt, SHORT, 5, CancelFlag())
        first = next(event for event in self.events(engine, OWN_FORMAT) if isinstance(event, Token))
        assert found is not None and found.survivors == 1
        assert (found.candidates[0].id, found.candidates[0].after) == (first.id, 1.0)

    def test_a_look_that_is_given_up_finds_nothing(self, engine: LocalEngine) -> None:
        cancel = CancelFlag()
        cancel.cancel()
        prompt = engine.render([Turn("user", "Something that was not read before")], OWN_FORMAT)
        assert engine.next_tokens(prompt, SHORT, 5, cancel) is None

    def test_a_prompt_that_does_not_fit_is_refused(self, engine: LocalEngine) -> None:
        prompt = engine.render([Turn("user", "meow " * 600)], OWN_FORMAT)
        with pytest.raises(ExceededContextLengthException):
            list(engine.generate(prompt, OWN_FORMAT, SHORT, CancelFlag(), LiveSettings()))

    def test_a_reply_that_is_continued_has_the_ids_of_all_its_text(self, engine: LocalEngine) -> None:
        posted: list[object] = []
        opening = Turn("bot", "Hello there,")
        asked = (PathTurn(HELLO[0], ("m1",)),)
        request = ReplyRequest(asked, "chatml", SHORT, opening=opening)
        run_reply(engine, 1, request, CancelFlag(), LiveSettings(), posted.append)
        last = posted[-1]
        assert isinstance(last, ReplyEnded) and last.ids
        texts = [one.text for one in posted if isinstance(one, ReplyText | ReplyEnded)]
        assert "".join(engine.token_texts(last.ids)) == opening.content + "".join(texts)


class TestInspection:
    @pytest.mark.parametrize("name", (OWN_FORMAT, "mine", *formats.names()))
    def test_the_parts_are_the_whole_in_every_format(self, engine: LocalEngine, name: str) -> None:
        chat = conversation(*TALK[:2])
        request = InspectionRequest(
            chat.turns(), TALK[2], name, DefaultSampling, Policy.DROP_OLDEST, with_tokens=True
        )
        found = inspect(engine, request, CancelFlag())
        chat.add("user", TALK[2])
        whole = engine.render([one.turn for one in chat.turns()], name)
        assert found.error == ""
        costs = sum(count for _, count in found.costs)
        assert found.format_own + costs + found.reply_opening == len(whole.ids)
        assert found.total == found.window.tokens == len(whole.ids)
        assert [message for message, _ in found.costs] == ["m1", "m2", "m3", DRAFT]
        assert dict(found.costs)[DRAFT] == found.draft >= 4
        # Some formats have no place for a system message, and leave it out.
        assert found.history > 10 and found.system >= 0
        assert [token.id for token in found.tokens] == list(whole.ids)

    def test_each_message_costs_what_the_prompt_grows_by(self, engine: LocalEngine) -> None:
        chat = conversation(*TALK)
        found = inspect(
            engine,
            InspectionRequest(chat.turns(), "", OWN_FORMAT, DefaultSampling, Policy.DROP_OLDEST),
            CancelFlag(),
        )
        turns = [one.turn for one in chat.turns()]
        # From the beginning to where the text of each message ends.
        lengths = [len(engine.render(turns, OWN_FORMAT, through=number).ids) for number in range(len(turns))]
        grown = [after - before for before, after in zip([0, *lengths], lengths, strict=False)]
        assert [count for _, count in found.costs] == grown

    def test_control_tokens_are_told_from_text(self, engine: LocalEngine) -> None:
        request = InspectionRequest(
            conversation("<|im_end|>").turns(),
            "",
            OWN_FORMAT,
            DefaultSampling,
            Policy.DROP_OLDEST,
            with_tokens=True,
        )
        tokens = inspect(engine, request, CancelFlag()).tokens
        assert sum(token.text == "<|im_end|>" for token in tokens) == 2
        assert all(token.is_control for token in tokens if token.text.startswith("<|im_"))

    def test_candidates_go_on_with_the_draft(self, engine: LocalEngine) -> None:
        request = InspectionRequest(
            (),
            "Roses are red, violets are",
            OWN_FORMAT,
            GreedyDecoding,
            Policy.DROP_OLDEST,
            candidates=20,
        )
        found = inspect(engine, request, CancelFlag())
        assert found.after == "Roses are red, violets are"
        assert found.distribution is not None
        assert " blue" in [one.text for one in found.distribution.candidates]

    def test_a_chat_that_outgrows_the_context_loses_its_beginning_only(self, engine: LocalEngine) -> None:
        chat = conversation(*["The cat says meow to the dog. " * 8] * 12)
        outside: frozenset[str] = frozenset()
        found = inspect(
            engine,
            InspectionRequest(chat.turns(), "And?", OWN_FORMAT, DefaultSampling, Policy.DROP_OLDEST, outside),
            CancelFlag(),
        )
        assert found.window.fits and found.window.tokens <= 512 - found.room
        ids = [one.id for one in chat.path()]
        assert found.window.outside == set(ids[1 : 1 + len(found.window.outside)])
        assert found.total > 512

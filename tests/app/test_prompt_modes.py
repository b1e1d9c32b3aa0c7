"""What the prompt can be told to do: modes, keys of one's own, history, an editor, long pastes."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.prompt_host import PromptHost, prompt_host
from textual import events
from textual.document._document import Document

from easy_llama_tui.drafts.prompt_history import PromptHistory
from easy_llama_tui.preferences.keymap import effective_bindings
from easy_llama_tui.widgets.prompt_input import PromptInput
from easy_llama_tui.widgets.prompt_lines import PromptLines


def sent(host: PromptHost) -> list[tuple[str, str]]:
    return [(message.text, message.mode) for message in host.told(PromptInput.Submitted)]


class TestModes:
    @pytest.mark.parametrize(("typed", "mode"), [("<", "opening"), ("!!", "system"), (" < ", "opening")])
    async def test_a_sign_and_enter_begin_something_else(self, typed: str, mode: str) -> None:
        async with prompt_host() as host:
            await host.type(typed)
            assert host.prompt.mode == "message"
            await host.press("enter")
            assert (host.prompt.mode, host.prompt.text) == (mode, "")
            await host.type("Sure")
            await host.press("enter")
            assert sent(host) == [("Sure", mode)]
            assert (host.prompt.mode, host.prompt.text) == ("message", "")
            await host.until(lambda: len(host.told(PromptInput.ModeChanged)) == 2)
            assert [message.mode for message in host.told(PromptInput.ModeChanged)] == [mode, "message"]

    async def test_an_exclamation_mark_and_enter_ask_for_the_commands(self) -> None:
        async with prompt_host() as host:
            await host.type("!")
            await host.press("enter")
            assert len(host.told(PromptInput.CommandsRequested)) == 1
            assert (host.prompt.text, sent(host)) == ("", [])

    async def test_signs_with_other_text_are_text(self) -> None:
        async with prompt_host() as host:
            for text in ("!x", "< b", "!!!", "!! x", "a!"):
                await host.type(text)
                await host.press("enter")
            assert [text for text, _ in sent(host)] == ["!x", "< b", "!!!", "!! x", "a!"]
            assert host.told(PromptInput.ModeChanged) == []

    async def test_signs_in_a_mode_are_text(self) -> None:
        async with prompt_host() as host:
            await host.press("less_than_sign", "enter", "exclamation_mark", "enter")
            assert sent(host) == [("!", "opening")]

    async def test_keys_that_come_at_once_keep_their_order(self) -> None:
        async with prompt_host() as host:
            for key, character in [("<", "<"), ("enter", "\r"), ("O", "O"), ("enter", "\r"), ("x", "x")]:
                host.prompt.post_message(events.Key(key, character))
            await host.until(lambda: host.prompt.text == "x")
            assert sent(host) == [("O", "opening")]

    async def test_escape_leaves_the_mode_and_keeps_the_text(self) -> None:
        async with prompt_host() as host:
            await host.press("less_than_sign", "enter")
            await host.type("ab")
            await host.press("escape")
            assert (host.prompt.mode, host.prompt.text) == ("message", "ab")
            await host.press("enter")
            assert sent(host) == [("ab", "message")]

    async def test_escape_is_left_to_the_screen_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with prompt_host() as host:
            seen: list[str] = []
            host.app.screen._bindings.bind("escape", "app.seen")
            monkeypatch.setattr(host.app, "action_seen", lambda: seen.append("esc"), raising=False)
            await host.press("less_than_sign", "enter", "escape")
            assert seen == []
            await host.press("escape")
            await host.until(lambda: seen == ["esc"])

    async def test_nothing_is_sent_from_an_empty_mode(self) -> None:
        async with prompt_host() as host:
            await host.press("less_than_sign", "enter", "enter", "space", "enter")
            assert (host.prompt.mode, sent(host)) == ("opening", [])

    async def test_what_is_given_back_is_what_it_was(self) -> None:
        async with prompt_host() as host:
            await host.type(" two")
            host.prompt.give_back("one", "system")
            await host.press("!", "enter")
            assert sent(host) == [("one two!", "system")]


class TestMovingUp:
    async def test_up_goes_into_the_chat_from_an_empty_prompt_only(self) -> None:
        async with prompt_host() as host:
            await host.press("up")
            assert len(host.told(PromptInput.MessageModeRequested)) == 1
            await host.type("a\nb")
            await host.press("up", "up")
            assert host.prompt.cursor_location == (0, 0) or host.prompt.cursor_location[0] == 0
            await host.press("ctrl+u", "ctrl+a", "delete", "delete", "delete", "shift+up")
            assert len(host.told(PromptInput.MessageModeRequested)) == 1

    async def test_a_mode_is_not_left_by_it(self) -> None:
        async with prompt_host() as host:
            await host.press("less_than_sign", "enter", "up")
            assert host.told(PromptInput.MessageModeRequested) == []


class TestOwnKeys:
    async def test_other_keys_do_it_and_those_before_do_not(self) -> None:
        keys, problems = effective_bindings(
            {"send": "ctrl+s", "newline": "enter", "history-previous": "ctrl+shift+up"}
        )
        assert problems == ()
        async with prompt_host(keys=keys) as host:
            await host.type("one")
            await host.press("enter", "2", "ctrl+s")
            assert sent(host) == [("one\n2", "message")]
            host.prompt.remember("one")
            await host.press("ctrl+up")
            assert host.prompt.text == ""
            await host.press("ctrl+shift+up")
            assert host.prompt.text == "one"

    async def test_all_names_of_a_key_send(self) -> None:
        keys, problems = effective_bindings({"send": "ctrl+enter,enter"})
        assert problems == ()
        async with prompt_host(keys=keys) as host:
            await host.type("a")
            host.prompt.post_message(events.Key("ctrl+\r", None))
            await host.until(lambda: sent(host) == [("a", "message")])
            await host.type("b")
            await host.press("enter")
            assert sent(host)[1:] == [("b", "message")]

    async def test_a_backslash_is_text_before_another_key_that_sends(self) -> None:
        keys, _ = effective_bindings({"send": "enter,ctrl+s"})
        async with prompt_host(keys=keys) as host:
            await host.type("a\\")
            await host.press("enter", "b", "\\", "ctrl+s")
            assert sent(host) == [("a\nb\\", "message")]

    async def test_keys_can_be_taken_back(self) -> None:
        keys, _ = effective_bindings({"newline": "f6"})
        async with prompt_host(keys=keys) as host:
            await host.press("a", "f6", "ctrl+j")
            assert host.prompt.text == "a\n"
            host.prompt.use_keys(effective_bindings({})[0])
            await host.press("ctrl+j")
            assert host.prompt.text == "a\n\n"


class TestHistory:
    async def test_it_reaches_over_chats(self, tmp_path: Path) -> None:
        async with prompt_host(history=PromptHistory(tmp_path / "h")) as host:
            host.prompt.remember("one")
            host.prompt.remember("two\nlines")
        async with prompt_host(history=PromptHistory(tmp_path / "h")) as host:
            await host.type("draft")
            seen = []
            for key in ("ctrl+up", "ctrl+up", "ctrl+up", "ctrl+down", "ctrl+down"):
                await host.press(key)
                seen.append(host.prompt.text)
            assert seen == ["two\nlines", "one", "one", "two\nlines", "draft"]

    async def test_sending_goes_back_to_its_end(self, tmp_path: Path) -> None:
        history = PromptHistory(tmp_path / "h")
        for text in ("one", "two", "three"):
            history.add(text)
        async with prompt_host(history=history) as host:
            await host.press("ctrl+up", "ctrl+up", "enter", "ctrl+up")
            assert host.prompt.text == "three"


class TestEditor:
    @pytest.fixture(autouse=True)
    def editor(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = tmp_path / "editor"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\npath = Path(sys.argv[1])\n"
            "path.write_text(path.read_text().upper() + '\\x1b]0;x\\n')\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(script))

    async def test_the_prompt_is_written_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with prompt_host() as host:
            monkeypatch.setattr(host.app, "suspend", nullcontext)
            await host.type("ab\nc")
            await host.press("ctrl+g", "!")
            assert host.prompt.text == "AB\nC␛]0;x!"
            await host.press("ctrl+z", "ctrl+z")
            assert host.prompt.text == "ab\nc"

    async def test_without_one_the_text_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with prompt_host() as host:
            monkeypatch.setenv("VISUAL", "no-such-editor")
            await host.type("ab")
            await host.press("ctrl+g")
            assert host.prompt.text == "ab"
            await host.until(lambda: host.app._notifications)
            (notice,) = host.app._notifications
            assert "no-such-editor" in notice.message


class TestDraft:
    async def test_files_are_told_after_a_pause(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("12")
        async with prompt_host(folder=tmp_path) as host:
            await host.type("see @notes.txt ")
            assert [one.note for one in host.prompt.attachments] == ["notes.txt 2 bytes"]
            await host.until(lambda: host.told(PromptInput.DraftChanged))
            draft = host.told(PromptInput.DraftChanged)[-1]
            assert (draft.text, draft.attachments) == ("see @notes.txt ", host.prompt.attachments)

    async def test_an_empty_prompt_is_told_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("easy_llama_tui.widgets.prompt_input.DRAFT_SECONDS", 3600)
        (tmp_path / "notes.txt").write_text("12")
        async with prompt_host(folder=tmp_path) as host:
            await host.type("@notes.txt ")
            await host.press("enter")
            await host.until(lambda: host.told(PromptInput.DraftChanged))
            assert [draft.text for draft in host.told(PromptInput.DraftChanged)] == [""]
            assert host.prompt.attachments == ()


class TestLongText:
    @pytest.mark.parametrize("n_lines", [1000, 20_000])
    async def test_a_long_paste_is_all_there_and_can_be_written_on(self, n_lines: int) -> None:
        pasted = "".join(f"line {number} {'(word) ' * 12}\n" for number in range(n_lines))
        async with prompt_host() as host:
            host.app.post_message(events.Paste(pasted))
            await host.until(lambda: host.prompt.has_text)
            await host.type("end")
            assert host.prompt.text == pasted + "end"
            assert host.prompt.size.height == 8
            assert "end" in host.prompt.render_line(7).text
            await host.press("ctrl+z", "ctrl+z")
            assert host.prompt.text == ""
            assert host.prompt.size.height == 1
            assert sent(host) == []

    async def test_what_is_cleared_comes_back_on_undo(self) -> None:
        async with prompt_host() as host:
            await host.type("ab\nc")
            host.prompt.clear()
            await host.press("ctrl+z")
            assert host.prompt.text == "ab\nc"


WORDS = st.text(st.sampled_from("ab  \t日é\n"), max_size=40)


class TestRows:
    @settings(max_examples=150, deadline=None)
    @given(
        before=WORDS,
        insert=WORDS,
        width=st.integers(1, 12),
        first=st.integers(0, 40),
        last=st.integers(0, 40),
    )
    def test_an_edit_is_broken_as_the_whole_text_is(
        self, before: str, insert: str, width: int, first: int, last: int
    ) -> None:
        document = Document(before)
        lines = PromptLines(document, width)
        start, end = (
            document.get_location_from_index(min(index, len(before))) for index in sorted((first, last))
        )
        result = document.replace_range(start, end, insert)
        lines.wrap_range(start, end, result.end_location)
        whole = PromptLines(document, width)
        assert lines._wrap_offsets == whole._wrap_offsets
        assert lines._offset_to_line_info == whole._offset_to_line_info
        assert lines._line_index_to_offsets == whole._line_index_to_offsets
        assert lines._tab_width_cache == whole._tab_width_cache
        assert lines.height == len(whole._offset_to_line_info)

    @settings(max_examples=150, deadline=None)
    @given(st.text(st.sampled_from("ab  \n"), max_size=60), st.integers(1, 12))
    def test_rows_fit_and_hold_everything(self, text: str, width: int) -> None:
        document = Document(text)
        lines = PromptLines(document, width)
        for number, line in enumerate(document.lines):
            sections = lines.get_sections(number)
            assert "".join(sections) == line
            assert all(0 < len(section) <= width for section in sections if line)

    def test_words_stay_whole_where_they_fit(self) -> None:
        lines = PromptLines(Document("the quick brown incomprehensibilities"), 10)
        assert lines.get_sections(0) == ["the quick ", "brown ", "incomprehe", "nsibilitie", "s"]

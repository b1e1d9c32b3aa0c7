"""Keys, pastes and window sizes as real terminals send them."""

from support.terminal import STORY, Start

from easy_llama_tui.chats.session_store import SessionStore


def test_new_lines_and_pastes_do_not_send_and_enter_does(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat()
    terminal.type("one")
    terminal.keys("ctrl+j")
    terminal.until(lambda: terminal.prompt == "one\n")
    terminal.type("two\\")
    terminal.keys("enter")
    terminal.paste("three\nfour\n")
    terminal.type("five")
    terminal.until(lambda: terminal.prompt == "one\ntwo\nthree\nfour\nfive")
    assert terminal.chat == ""

    terminal.keys("enter")
    terminal.until(lambda: terminal.prompt == "")
    terminal.until("You\n  one\n  two\n  three\n  four\n  five\n")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    (summary,) = store.summaries()
    assert store.load(summary.id).messages[0].content == "one\ntwo\nthree\nfour\nfive"


def test_keys_work_in_the_order_in_which_they_were_pressed_however_fast(open_chat: Start) -> None:
    terminal = open_chat()
    backspace, left, right, new_line = "\x7f", "\x1b[D", "\x1b[C", "\n"
    terminal.type(f"abx{backspace}d{left}c{right}e{new_line}f")
    terminal.until(lambda: terminal.prompt == "abcde\nf")


def test_what_is_typed_right_after_enter_is_not_sent_along(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat()
    terminal.type("one\rtwo")
    terminal.until("You\n  one")
    terminal.until(lambda: terminal.prompt == "two")
    terminal.until(store.summaries)
    (summary,) = store.summaries()
    assert store.load(summary.id).messages[0].content == "one"


def test_the_window_may_change_its_size_while_a_reply_is_written(
    open_chat: Start, store: SessionStore
) -> None:
    terminal = open_chat()
    terminal.send(STORY)
    terminal.until_writing()
    for columns, rows in ((60, 20), (40, 12), (132, 43)):
        terminal.resize(columns, rows)
        terminal.until_drawn()
        assert terminal.lines[0].startswith(" SmolLM2-135M-Instruct")
        assert terminal.lines[-3:-1] == ["─" * columns, " >"]
        terminal.until_more()
    terminal.keys("esc")
    terminal.until("▌ stopped")
    (summary,) = store.summaries()
    terminal.until(lambda: store.load(summary.id).messages[-1].finish)
    reply = store.load(summary.id).messages[-1].content
    assert terminal.chat.endswith(f"{' '.join(reply.split())} ▌ stopped · F8 to continue · ^R to re-roll")

"""Files in messages: which are meant, what is wrong with them, and what is sent."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama_tui.drafts.attachments import (
    MAX_BYTES,
    MAX_REFERENCES,
    expand,
    expansion,
    find_attachments,
    reference,
    size_in_words,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "my notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print('hi')\n", encoding="utf-8")
    return tmp_path


def named(text: str, folder: Path) -> list[tuple[str, str | None]]:
    """What each attachment covers in the text, and its problem."""
    return [(text[one.start : one.end], one.problem) for one in find_attachments(text, folder)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@notes.txt", ["@notes.txt"]),
        ("See @notes.txt, please", ["@notes.txt"]),
        ("(see @notes.txt).", ["@notes.txt"]),
        ("(@notes.txt)", ["@notes.txt"]),
        ("Is it in @notes.txt?!", ["@notes.txt"]),
        ('@"my notes.txt" and @src/main.py', ['@"my notes.txt"', "@src/main.py"]),
        ("@'my notes.txt'", ["@'my notes.txt'"]),
        ("line\n@notes.txt\n@./notes.txt", ["@notes.txt", "@./notes.txt"]),
        ("@notes.txt@notes.txt", []),
        ("@my notes.txt", []),
        ("me@notes.txt", []),
        ("@someone, @all: write to me@example.org @ 5", []),
        ("\\@notes.txt", []),
        ('@"my notes.txt', []),
        ("@", []),
        ("@...", []),
        ("@\0", []),
        ("@~\0", []),
        ("@~\ud800", []),
        ("@" + "x" * 10_000, []),
        ("", []),
    ],
)
def test_a_file_is_meant_where_a_word_begins_with_its_path(folder: Path, text: str, found: list[str]) -> None:
    assert named(text, folder) == [(one, None) for one in found]


def test_a_name_may_end_as_a_sentence_does(folder: Path) -> None:
    (folder / "really?").write_text("yes")
    assert named("@really?", folder) == [("@really?", None)]
    assert named("@really??", folder) == [("@really?", None)]


def test_what_cannot_be_attached_is_said(folder: Path) -> None:
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "latin").write_bytes("é".encode("latin-1"))
    with (folder / "large.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(folder / "pipe")
    texts = ["@src", "@src/", "@./nothing", '@"no file"', "@picture.png", "@latin", "@large.txt", "@pipe"]
    problems = ["folder", "folder", "missing", "missing", "binary", "binary", "too large", "unreadable"]
    for text, problem in zip(texts, problems, strict=True):
        assert named(text, folder) == [(text, problem)]
        assert expand(text, folder) == text
        assert [one.problem for one in expansion(text, folder).problems] == [problem]
    notes = [find_attachments(text, folder)[0].note for text in texts]
    assert notes == [
        "src is a folder; name a file in it",
        "src/ is a folder; name a file in it",
        "./nothing: there is no such file",
        "no file: there is no such file",
        "picture.png is not text in UTF-8 or UTF-16",
        "latin is not text in UTF-8 or UTF-16",
        "large.txt has 4.0 MB; 4.0 MB is the most",
        "pipe cannot be read",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_said(folder: Path) -> None:
    (folder / "notes.txt").chmod(0)
    assert named("@notes.txt", folder) == [("@notes.txt", "unreadable")]


def test_the_note_has_the_size(folder: Path) -> None:
    (attachment,) = find_attachments("@notes.txt", folder)
    assert (attachment.note, attachment.size, attachment.path) == (
        "notes.txt 8 bytes",
        8,
        folder / "notes.txt",
    )
    sizes = {1: "1 byte", 999: "999 bytes", 1000: "1.0 KB", 2149: "2.1 KB", 999_949: "999.9 KB"}
    assert {size: size_in_words(size) for size in sizes} == sizes
    assert size_in_words(999_960) == "1.0 MB"


def test_the_home_folder_is_expanded(user_folders: Path, folder: Path) -> None:
    (user_folders / "home.txt").write_text("at home")
    assert expand("@~/home.txt", folder) == "@~/home.txt\n\n~/home.txt:\n```txt\nat home\n```"
    assert named("@~nobody-of-that-name/x", folder) == []


def test_contents_come_after_the_message(folder: Path) -> None:
    assert expand('Sum up @notes.txt and @"my notes.txt".\n', folder) == (
        'Sum up @notes.txt and @"my notes.txt".\n\n'
        "notes.txt:\n```txt\none\ntwo\n```\n\n"
        "my notes.txt:\n```txt\nmine\n```"
    )


def test_a_message_without_files_is_sent_as_it_is(folder: Path) -> None:
    for text in ("", "  hello\n\n", "a @someone \\@everyone \\alpha"):
        assert expand(text, folder) == text


def test_a_file_is_sent_once(folder: Path) -> None:
    sent = expansion("@notes.txt @notes.txt", folder)
    assert len(sent.attached) == 1
    assert sent.text.count("```txt") == 1


def test_a_backslash_keeps_a_file_out_and_is_not_sent(folder: Path) -> None:
    assert expand("Write \\@notes.txt and (\\@src/main.py) \\@someone", folder) == (
        "Write @notes.txt and (@src/main.py) \\@someone"
    )
    assert find_attachments("\\@notes.txt", folder) == ()


@pytest.mark.parametrize("content", ["```py\nx\n```", "a ```````b", "`", "", "\n", "no newline"])
def test_the_fence_is_longer_than_any_in_the_file(folder: Path, content: str) -> None:
    (folder / "x.md").write_text(content)
    block = expand("@x.md", folder).removeprefix("@x.md\n\nx.md:\n")
    opening, _, rest = block.partition("md\n")
    assert len(opening) >= 3
    assert set(opening) == {"`"}
    assert opening not in content
    assert rest.removesuffix(opening).removesuffix("\n") == content.removesuffix("\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_in_the_encodings_that_say_so(folder: Path, encoding: str) -> None:
    (folder / "x").write_bytes("Grüße 😀\r\nzwei\rdrei".encode(encoding))
    assert "x:\n```\nGrüße 😀\nzwei\ndrei\n```" in expand("@x", folder)


def test_a_character_across_the_first_bytes_is_no_reason_to_refuse(folder: Path) -> None:
    (folder / "x").write_bytes(b"a" * 8191 + "é".encode() * 10)
    assert named("@x", folder) == [("@x", None)]


def test_what_turns_out_to_be_no_text_is_a_problem_and_not_half_sent(folder: Path) -> None:
    (folder / "x").write_bytes(b"a" * 9000 + b"\xff")
    sent = expansion("@x", folder)
    assert (sent.text, sent.attached, [one.problem for one in sent.problems]) == ("@x", (), ["binary"])


def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    assert "one" in expand("@notes.txt", folder)
    (folder / "notes.txt").write_text("three")
    assert "three" in expand("@notes.txt", folder)
    (folder / "notes.txt").write_bytes(b"\0\0\0")
    assert named("@notes.txt", folder) == [("@notes.txt", "binary")]
    (folder / "notes.txt").unlink()
    assert named("@notes.txt", folder) == []


def test_a_long_text_with_many_signs_is_looked_up_in_part(folder: Path) -> None:
    text = "@property " * (MAX_REFERENCES - 1)
    assert len(find_attachments(text + "@notes.txt", folder)) == 1
    assert find_attachments(text + "@property @notes.txt", folder) == ()


NAMES = st.text(st.sampled_from("ab .,'\"(\\@`\t\n\u202e\x1bé"), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, before=st.sampled_from(["", "see ", "("]), after=st.sampled_from(["", " then", "\n"]))
def test_a_reference_names_its_file(tmp_path: Path, name: str, before: str, after: str) -> None:
    written = reference(name)
    path = tmp_path / name
    if written is None or path.is_dir():
        return
    path.write_text("x")
    try:
        (found,) = find_attachments(before + written + after, tmp_path)
        assert found.path == path
        assert found.problem is None
    finally:
        path.unlink()


def test_names_that_cannot_be_written_have_no_reference() -> None:
    assert [reference(name) for name in ("a\nb", "\x1b", "a \"'", " a", "", "\udce9")] == [None] * 6
    assert reference("a b") == '@"a b"'
    assert reference('a "b"') == "@'a \"b\"'"
    assert reference("my folder/") == '@"my folder/'


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("@\"'\\/~. \nnotes.txt()\0"), max_size=30))
def test_no_message_is_refused(folder: Path, text: str) -> None:
    for attachment in find_attachments(text, folder):
        assert text[attachment.start] == "@"
        assert attachment.note
    assert expand(text, folder)[:1] in (text[:1], "@")

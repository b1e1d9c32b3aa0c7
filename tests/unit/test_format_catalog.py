"""The prompt formats to choose from, a person's own among them."""

from pathlib import Path

import pytest
import tomli_w

from easy_llama import formats
from easy_llama.prompt import Turn, prompt_text
from easy_llama_tui.replies.engine import OWN_FORMAT
from easy_llama_tui.replies.format_catalog import FormatCatalog, FormatFileError, load_formats, read_format

OWN = {"user_prefix": "Person: ", "user_suffix": "\n", "bot_prefix": "Cat: ", "stops": ["\n"]}


def write(folder: Path, name: str, text: str | dict[str, object]) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text if isinstance(text, str) else tomli_w.dumps(text), encoding="utf-8")
    return path


class TestTheFolder:
    def test_without_one_there_are_the_built_in_formats(self, tmp_path: Path) -> None:
        catalog = load_formats(tmp_path / "formats")
        assert (catalog.names, catalog.problems) == (formats.names(), ())
        assert catalog.get("chatml") == formats.get("chatml")

    def test_own_formats_come_first_and_hide_built_in_ones(self, tmp_path: Path) -> None:
        write(tmp_path, "mine", OWN)
        write(tmp_path, "chatml", OWN)
        catalog = load_formats(tmp_path)
        assert catalog.names[:2] == ("chatml", "mine")
        assert len(catalog.names) == len(set(catalog.names)) == len(formats.names()) + 1
        assert catalog.get("chatml")["bot_prefix"] == "Cat: "
        assert formats.get("chatml")["bot_prefix"] != "Cat: "

    def test_a_file_that_is_wrong_is_named_and_the_others_count(self, tmp_path: Path) -> None:
        write(tmp_path, "broken", "user_prefix = \nstops = []")
        write(tmp_path, "mine", OWN)
        (tmp_path / "notes.txt").write_text("no format")
        (tmp_path / "folder.toml").mkdir()
        catalog = load_formats(tmp_path)
        assert set(catalog.own) == {"mine"}
        assert len(catalog.problems) == 2
        assert str(tmp_path / "broken.toml") in catalog.problems[0] and "line 1" in catalog.problems[0]
        assert str(tmp_path / "folder.toml") in catalog.problems[1]

    def test_the_name_of_the_models_own_format_is_taken(self, tmp_path: Path) -> None:
        write(tmp_path, OWN_FORMAT, OWN)
        catalog = load_formats(tmp_path)
        assert catalog.own == {}
        assert "choose another" in catalog.problems[0]


class TestTheNames:
    def test_they_are_known_or_not(self) -> None:
        catalog = FormatCatalog({"mine": OWN})
        assert all(map(catalog.knows, [OWN_FORMAT, "mine", "chatml"]))
        assert not catalog.knows("chatmll")

    @pytest.mark.parametrize(("name", "near"), [("chatmll", "'chatml'"), ("mime", "'mine'")])
    def test_an_unknown_one_leads_to_the_nearest(self, name: str, near: str) -> None:
        with pytest.raises(ValueError, match=f"'{name}'; did you mean {near}"):
            FormatCatalog({"mine": OWN}).get(name)

    def test_one_that_is_near_to_none_leads_to_the_list(self) -> None:
        with pytest.raises(ValueError, match="/format lists them"):
            FormatCatalog({}).get("#" * 40)

    @pytest.mark.parametrize("name", ["mine", "chatml"])
    def test_each_gets_a_copy_of_their_own(self, name: str) -> None:
        catalog = FormatCatalog({"mine": OWN})
        catalog.get(name)["stops"].append("changed")
        assert "changed" not in catalog.get(name)["stops"]


class TestAFile:
    def test_what_is_left_out_is_empty(self, tmp_path: Path) -> None:
        found = read_format(write(tmp_path, "mine", {"bot_prefix": "Cat: "}))
        assert found == {
            **dict.fromkeys(("system_prefix", "system_prompt", "system_suffix", "user_prefix"), ""),
            **dict.fromkeys(("user_suffix", "bot_suffix"), ""),
            "bot_prefix": "Cat: ",
            "stops": [],
        }
        assert formats.stops_of(found) == ()

    def test_it_makes_prompts(self, tmp_path: Path) -> None:
        found = read_format(write(tmp_path, "mine", OWN))
        pieces = formats.build_prompt(found, [Turn("user", "Meow?")])
        assert prompt_text(pieces) == "Person: Meow?\nCat: "
        assert formats.stops_of(found) == ("\n",)

    def test_every_built_in_format_could_be_written_as_one(self, tmp_path: Path) -> None:
        for name in set(formats.names()) - {"blank"}:  # blank tells no one apart, on purpose
            assert read_format(write(tmp_path, name, formats.get(name))) == formats.get(name)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("user_prefix = 1", "user_prefix must be a text in quotes, not 1"),
            ('user_prefx = "a"', "there is no key 'user_prefx'; did you mean 'user_prefix'"),
            ("zzz = 1", "there is no key 'zzz'; there are system_prefix,"),
            ('bot_prefix = "a"\nstops = "a"', "stops must be a list of texts, not 'a'"),
            ('bot_prefix = "a"\nstops = [1]', "stops must be a list of texts"),
            ("", "nothing tells user and bot apart"),
            ('system_prefix = "a"', "nothing tells user and bot apart"),
            ('bot_prefix = "\nstops = []', "line 1"),
            (f"bot_prefix = {'[' * 100_000}", ""),
            (f"bot_prefix = {'9' * 5_000}", ""),
            (f"# {'x' * 1_000_000}", "too large"),
        ],
        ids=lambda text: text[:30],
    )
    def test_what_is_wrong_is_said_with_the_file(self, tmp_path: Path, text: str, said: str) -> None:
        path = write(tmp_path, "mine", text)
        with pytest.raises(FormatFileError) as caught:
            read_format(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert said in str(caught.value)

    def test_what_is_no_text_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_bytes(b"bot_prefix = '\xff'")
        with pytest.raises(FormatFileError, match=r"mine\.toml"):
            read_format(tmp_path / "mine.toml")

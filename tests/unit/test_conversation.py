import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama.prompt import Turn
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.conversation import Conversation, ConversationError, Message, storable_text
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session, from_toml, to_toml

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def message(message_id, parent=None, role="user", content="", **more):
    return Message(message_id, parent, role, content, NOON, **more)


def ids(messages):
    return [one.id for one in messages]


@pytest.fixture
def chat():
    """Return m1 (user), m2 (bot), m3 (user), m4 (bot)."""
    conversation = Conversation(now=lambda: NOON)
    conversation.add("user", "woof?")
    conversation.add("bot", "woof!", finish="stop", ids=(7, 8))
    conversation.add("user", "and the cat?")
    conversation.add("bot", "meow", finish="length", ids=(9,))
    return conversation


class TestMessage:
    def test_its_time_is_brought_to_whole_seconds_in_utc(self):
        there = datetime(2026, 11, 22, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
        created = Message("m1", None, "user", "", there).created
        assert (created, created.microsecond, created.tzinfo) == (NOON, 0, UTC)

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="no time zone"):
            Message("m1", None, "user", "", datetime(2026, 11, 22))

    def test_only_a_reply_was_made_by_a_model(self):
        made = (Making(Recipe("tiny", "tiny.gguf", "template", "Mine", SamplerSettings()), NOON),)
        assert message("m1", role="bot", made=made, by="somebody").author == "tiny"
        assert message("m1", role="bot", by="somebody").author == "somebody"
        assert message("m1", role="bot").author == ""
        with pytest.raises(ConversationError, match="no model made it"):
            message("m1", role="user", made=made)

    def test_only_a_reply_has_a_finish(self):
        with pytest.raises(ConversationError, match="'m1'"):
            message("m1", role="user", finish="stop")

    def test_an_empty_id_is_refused(self):
        with pytest.raises(ConversationError, match="empty id"):
            message("")

    @pytest.mark.parametrize(
        ("text", "stored"),
        [
            ("a\ud800b", "a\ufffdb"),
            ("\udfff", "\ufffd"),
            ("\udc80\ud83d", "\ufffd\ufffd"),
            ("\ud83d\ude00", "\U0001f600"),
            ("\ufeffkept \ud800", "\ufeffkept \ufffd"),
            ("plain \U0001f600 \u0301 \uffff", "plain \U0001f600 \u0301 \uffff"),
        ],
    )
    def test_lone_surrogates_become_replacement_characters(self, text, stored):
        assert storable_text(text) == stored
        assert message("m1", content=text).content == stored


class TestAdding:
    def test_messages_are_numbered_and_follow_the_head(self, chat):
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]
        assert [one.parent for one in chat.path()] == [None, "m1", "m2", "m3"]
        assert chat.head == "m4"

    def test_an_empty_conversation_has_no_head(self):
        conversation = Conversation()
        assert (conversation.head, conversation.path(), conversation.messages) == (None, (), ())
        assert (conversation.turns(), conversation.last_reply()) == ((), None)

    def test_new_messages_are_dated_by_the_clock(self):
        assert Conversation(now=lambda: NOON).add("user", "hi").created == NOON
        before = datetime.now(UTC).replace(microsecond=0)
        assert before <= Conversation().add("user", "hi").created <= datetime.now(UTC)

    def test_below_another_message_a_branch_begins_and_is_shown(self, chat):
        branch = chat.add("user", "and the cow?", parent="m2")
        assert ids(chat.path()) == ["m1", "m2", branch.id]
        assert ids(chat.siblings(branch.id)) == ["m3", branch.id]

    def test_without_a_parent_the_conversation_begins_anew(self, chat):
        anew = chat.add("user", "moo?", parent=None)
        assert ids(chat.path()) == [anew.id]
        assert ids(chat.children(None)) == ["m1", anew.id]

    def test_below_an_unknown_message_nothing_is_added(self, chat):
        with pytest.raises(ConversationError, match="'m99'"):
            chat.add("user", "lost", parent="m99")
        assert len(chat.messages) == 4
        assert chat.head == "m4"

    def test_an_alternative_is_empty_and_beside_the_other(self, chat):
        other = chat.add_alternative("m2")
        assert (other.role, other.content, other.parent, other.finish) == ("bot", "", "m1", None)
        assert ids(chat.path()) == ["m1", other.id]
        assert ids(chat.siblings("m2")) == ["m2", other.id]

    @pytest.mark.parametrize(("of", "role", "parent"), [("m3", "user", "m2"), ("m2", "bot", "m1")])
    def test_an_alternative_may_say_something_at_once(self, chat, of, role, parent):
        other = chat.add_alternative(of, "in other words")
        assert (other.role, other.content, other.parent) == (role, "in other words", parent)
        assert (other.finish, other.ids, other.pinned) == (None, (), False)
        assert chat.path()[-1] is other
        assert ids(chat.siblings(of)) == [of, other.id]

    def test_ids_go_on_after_those_of_a_file(self):
        conversation = Conversation([message("m7"), message("greeting", "m7"), message("m" + "9" * 5000)])
        assert conversation.add("user", "next").id == "m8"


class TestUpdating:
    def test_the_reply_is_replaced_in_its_place(self, chat):
        chat.show("m4")
        changed = chat.update("m2", content="arf", finish="interrupted", ids=(5,))
        assert chat.get("m2") is changed
        assert (changed.content, changed.finish, changed.ids) == ("arf", "interrupted", (5,))
        assert (changed.parent, changed.created) == ("m1", NOON)
        assert ids(chat.messages) == ["m1", "m2", "m3", "m4"]
        assert chat.head == "m4"

    def test_edited_text_loses_the_token_ids_of_the_old_text(self, chat):
        assert chat.update("m2", content="arf", finish="stop").ids == ()

    def test_snapshots_taken_before_do_not_change(self, chat):
        before = chat.messages
        chat.update("m4", content="purr", finish="stop")
        assert before[3].content == "meow"

    def test_an_unknown_message_cannot_be_updated(self, chat):
        with pytest.raises(ConversationError, match="'m99'"):
            chat.update("m99", content="")


class TestPinning:
    def test_a_message_is_pinned_and_let_go(self, chat):
        assert not chat.get("m2").pinned
        assert chat.set_pinned("m2", True) is chat.get("m2")
        assert [one.pinned for one in chat.path()] == [False, True, False, False]
        assert (chat.get("m2").content, chat.get("m2").ids, chat.head) == ("woof!", (7, 8), "m4")
        assert not chat.set_pinned("m2", False).pinned

    def test_other_text_leaves_it_pinned(self, chat):
        chat.set_pinned("m2", True)
        assert chat.update("m2", content="arf").pinned

    def test_an_unknown_message_cannot_be_pinned(self, chat):
        with pytest.raises(ConversationError, match="'m99'"):
            chat.set_pinned("m99", True)

    def test_the_turn_of_a_pinned_message_is_pinned(self, chat):
        chat.set_pinned("m3", True)
        assert [(one.messages, one.pinned) for one in chat.turns()] == [
            (("m1",), False),
            (("m2",), False),
            (("m3",), True),
            (("m4",), False),
        ]

    @pytest.mark.parametrize("pinned", ["m1", "m3"])
    def test_one_pinned_message_holds_the_turn_that_it_shares(self, pinned):
        chat = Conversation([message("m1"), message("m2", "m1", "bot"), message("m3", "m2", content="well?")])
        chat.set_pinned(pinned, True)
        (only,) = chat.turns()
        assert (only.messages, only.pinned) == (("m1", "m3"), True)
        assert only.turn == Turn("user", "\n\nwell?")


class TestShowing:
    def test_each_alternative_keeps_its_own_continuation(self, chat):
        other = chat.add_alternative("m2").id
        below_first = chat.add("user", "first below the other").id
        below_second = chat.add("user", "second below the other", parent=other).id
        chat.show(below_first)
        chat.show("m2")
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]
        chat.show(other)
        assert ids(chat.path()) == ["m1", other, below_first]
        chat.show(below_second)
        chat.show("m4")
        chat.show(other)
        assert ids(chat.path()) == ["m1", other, below_second]

    def test_what_was_never_shown_continues_with_the_newest(self):
        conversation = Conversation(
            [
                message("m1"),
                message("m2", "m1"),
                message("m3", "m1"),
                message("m4", "m3"),
                message("m5", "m3"),
            ],
            head="m2",
        )
        assert conversation.head == "m2"
        conversation.show("m3")
        assert ids(conversation.path()) == ["m1", "m3", "m5"]

    def test_without_a_head_the_newest_is_shown(self):
        conversation = Conversation([message("m1"), message("m2", "m1"), message("m3", "m1")])
        assert conversation.head == "m3"

    def test_a_message_on_the_path_shows_what_is_shown_already(self, chat):
        chat.show("m1")
        assert chat.head == "m4"

    def test_the_path_can_end_above_other_messages(self, chat):
        chat.end_at("m2")
        assert ids(chat.path()) == ["m1", "m2"]
        branch = chat.add("user", "and the cow?")
        assert ids(chat.siblings("m3")) == ["m3", branch.id]

    def test_unknown_messages_are_named(self, chat):
        for ask in (chat.show, chat.end_at, chat.children, chat.siblings, chat.get, chat.add_alternative):
            with pytest.raises(ConversationError, match="'m99'"):
                ask("m99")
        assert chat.head == "m4"


class TestTurns:
    def test_the_shown_path_becomes_turns_with_their_token_ids(self, chat):
        assert tuple(one.turn for one in chat.turns()) == (
            Turn("user", "woof?"),
            Turn("bot", "woof!", (7, 8)),
            Turn("user", "and the cat?"),
            Turn("bot", "meow", (9,)),
        )

    def test_what_leads_up_to_a_reply_does_not_hold_it(self, chat):
        assert [one.turn.content for one in chat.turns(before="m4")] == ["woof?", "woof!", "and the cat?"]
        assert chat.turns(before="m1") == ()

    def test_a_message_that_is_not_shown_has_its_own_past(self, chat):
        chat.add("user", "moo?", parent=None)
        assert [one.turn.content for one in chat.turns(before="m3")] == ["woof?", "woof!"]

    def test_the_last_reply_is_the_one_that_is_shown(self, chat):
        assert chat.last_reply().id == "m4"
        chat.add("user", "thanks")
        assert chat.last_reply().id == "m4"
        chat.end_at("m3")
        assert chat.last_reply().id == "m2"
        chat.end_at("m1")
        assert chat.last_reply() is None


class TestRemoving:
    def test_all_below_goes_and_the_path_ends_at_the_parent(self, chat):
        assert ids(chat.remove("m2").messages) == ["m2", "m3", "m4"]
        assert ids(chat.path()) == ["m1"]
        assert chat.children("m1") == ()
        with pytest.raises(ConversationError, match="'m3'"):
            chat.get("m3")

    def test_the_alternative_before_takes_its_place(self, chat):
        second = chat.add_alternative("m2").id
        third = chat.add_alternative("m2").id
        fourth = chat.add_alternative("m2").id
        chat.show(third)
        chat.remove(third)
        assert chat.head == second
        chat.remove(fourth)
        chat.show("m2")
        chat.remove("m2")
        assert chat.head == second

    def test_what_is_shown_elsewhere_stays_shown(self, chat):
        other = chat.add_alternative("m2").id
        chat.show("m2")
        chat.remove(other)
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]

    def test_a_forgotten_continuation_is_not_followed(self, chat):
        chat.add("user", "and the cow?", parent="m2")
        chat.show("m4")
        chat.add("user", "anew", parent=None)
        chat.remove("m3")
        chat.show("m1")
        assert [one.content for one in chat.path()] == ["woof?", "woof!", "and the cow?"]

    def test_the_last_message_leaves_an_empty_conversation(self, chat):
        chat.remove("m1")
        assert (chat.head, chat.messages, chat.children(None)) == (None, (), ())
        assert chat.add("user", "again").id == "m5"


class TestPuttingBack:
    def test_it_is_as_it_was(self, chat):
        before = state_of(chat)
        removed = chat.remove("m2")
        assert state_of(chat) != before
        chat.put_back(removed)
        assert state_of(chat) == before
        assert chat.get("m4").ids == (9,)

    def test_an_alternative_comes_back_to_its_place(self, chat):
        second = chat.add_alternative("m2", "arf").id
        third = chat.add_alternative("m2", "ruff").id
        chat.show(second)
        chat.put_back(chat.remove(second))
        assert ids(chat.siblings("m2")) == ["m2", second, third]
        assert chat.head == second

    def test_what_was_written_meanwhile_is_kept(self, chat):
        removed = chat.remove("m3")
        added = chat.add("user", "and the cow?").id
        chat.put_back(removed)
        assert ids(chat.siblings("m3")) == ["m3", added]
        assert ids(chat.messages) == ["m1", "m2", "m3", "m4", added]
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]

    def test_what_was_not_shown_comes_back_unseen(self, chat):
        chat.add_alternative("m2", "arf")
        removed = chat.remove("m2")
        more = chat.add("user", "and the cow?").id
        chat.put_back(removed)
        assert chat.head == more

    def test_alternatives_below_are_shown_as_they_were_last(self, chat):
        older = chat.add("user", "older", parent="m2").id
        chat.add("user", "newer", parent="m2")
        chat.show(older)
        chat.add("user", "anew", parent=None)
        chat.put_back(chat.remove("m1"))
        chat.show("m1")
        assert chat.head == older

    def test_it_comes_back_once(self, chat):
        removed = chat.remove("m3")
        chat.put_back(removed)
        before = state_of(chat)
        with pytest.raises(ConversationError, match="'m3' is there already"):
            chat.put_back(removed)
        assert state_of(chat) == before

    def test_what_it_followed_must_be_there(self, chat):
        reply = chat.remove("m4")
        question = chat.remove("m3")
        with pytest.raises(ConversationError, match="'m3'"):
            chat.put_back(reply)
        assert ids(chat.messages) == ["m1", "m2"]
        chat.put_back(question)
        chat.put_back(reply)
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]

    def test_all_of_it_comes_back(self, chat):
        before = state_of(chat)
        chat.put_back(chat.remove("m1"))
        assert state_of(chat) == before


class TestBuildingFromMessages:
    def test_a_parent_may_come_after_its_child(self):
        conversation = Conversation([message("m2", "m1"), message("m1")])
        assert ids(conversation.path()) == ["m1", "m2"]
        assert ids(conversation.messages) == ["m2", "m1"]

    @pytest.mark.parametrize(
        ("messages", "head", "named"),
        [
            ([message("m1"), message("m2", "m9")], None, "message 'm2' follows 'm9'"),
            ([message("m1"), message("m1")], None, "'m1' is given to two"),
            ([message("m1", "m1")], None, "'m1' follows itself"),
            ([message("m1"), message("m2", "m3"), message("m3", "m2")], None, "'m[23]' follows itself"),
            ([message("m4", "m2"), message("m2", "m3"), message("m3", "m2")], None, "'m[23]' follows itself"),
            ([message("m1")], "m2", "the head 'm2'"),
            ([], "m1", "the head 'm1'"),
        ],
    )
    def test_what_is_no_tree_is_refused_by_name(self, messages, head, named):
        with pytest.raises(ConversationError, match=named):
            Conversation(messages, head)

    def test_a_long_conversation_is_built_without_recursion(self):
        count = 20_000
        messages = [message("m1"), *(message(f"m{n}", f"m{n - 1}") for n in range(2, count + 1))]
        conversation = Conversation(messages)
        assert conversation.head == f"m{count}"
        assert len(conversation.path()) == count
        assert len(conversation.remove("m1").messages) == count


def state_of(conversation):
    """Return all that can be seen of a conversation, what each message would show below it included."""
    head, path = conversation.head, conversation.path()
    children = {one.id: conversation.children(one.id) for one in conversation.messages}
    paths = {}
    for one in conversation.messages:
        again = copy.deepcopy(conversation)
        again.show(one.id)
        paths[one.id] = again.head
    return conversation.messages, head, path, conversation.children(None), children, paths


def saved_and_loaded(conversation):
    session = Session(
        id="chat",
        title="",
        named=False,
        created=NOON,
        updated=NOON,
        head=conversation.head,
        model=ModelReference("", ""),
        format="template",
        sampler=SamplerChoice("DefaultSampling"),
        messages=conversation.messages,
        shown=conversation.shown_elsewhere(),
    )
    again = from_toml(to_toml(session), "chat.toml")
    return Conversation(again.messages, again.head, shown=again.shown, now=lambda: NOON)


def grow(data, conversation, steps, actions=("add", "branch", "alternative", "show", "end_at", "pin")):
    """Do something at random to a conversation, some times."""
    for _ in range(steps):
        known = ids(conversation.messages)
        action = data.draw(st.sampled_from(actions))
        if not known or action == "add":
            conversation.add(data.draw(st.sampled_from(["user", "bot"])), "text", finish=None)
            continue
        chosen = data.draw(st.sampled_from(known))
        match action:
            case "branch":
                conversation.add("user", "branch", parent=chosen)
            case "alternative":
                conversation.add_alternative(chosen, "in other words")
            case "pin":
                conversation.set_pinned(chosen, not conversation.get(chosen).pinned)
            case _:
                getattr(conversation, action)(chosen)


class TestUndoing:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_deletions_taken_back_one_by_one_leave_no_trace(self, data):
        conversation = Conversation(now=lambda: NOON)
        grow(data, conversation, data.draw(st.integers(1, 14)))
        undo = []
        while conversation.messages and data.draw(st.booleans()):
            before = state_of(conversation)
            chosen = data.draw(st.sampled_from(ids(conversation.messages)))
            undo.append((before, conversation.remove(chosen)))
        while undo:
            before, removed = undo.pop()
            conversation.put_back(removed)
            assert state_of(conversation) == before
            loaded = saved_and_loaded(conversation)
            assert state_of(loaded) == before

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_what_is_done_in_between_is_kept(self, data):
        conversation = Conversation(now=lambda: NOON)
        grow(data, conversation, data.draw(st.integers(2, 10)))
        undo, everything = [], {one.id: one for one in conversation.messages}
        for _ in range(data.draw(st.integers(1, 6))):
            if conversation.messages:
                undo.append(conversation.remove(data.draw(st.sampled_from(ids(conversation.messages)))))
            grow(data, conversation, data.draw(st.integers(0, 3)))
            everything |= {one.id: one for one in conversation.messages}
            if undo and data.draw(st.booleans()):
                conversation.put_back(undo.pop())
        while undo:
            conversation.put_back(undo.pop())
        assert {one.id: one for one in conversation.messages} == everything
        # The numbers of the ids are the order of creation.
        assert ids(conversation.messages) == sorted(everything, key=lambda one: int(one[1:]))
        for one in conversation.messages:
            assert ids(conversation.siblings(one.id)) == sorted(
                ids(conversation.siblings(one.id)), key=lambda other: int(other[1:])
            )
        loaded = saved_and_loaded(conversation)
        assert (loaded.messages, loaded.head) == (conversation.messages, conversation.head)

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_a_chat_opened_again_takes_back_what_was_deleted_before(self, data):
        conversation = Conversation(now=lambda: NOON)
        grow(data, conversation, data.draw(st.integers(1, 10)))
        before = state_of(conversation)[:5]
        removed = conversation.remove(data.draw(st.sampled_from(ids(conversation.messages))))
        again = saved_and_loaded(conversation)
        again.put_back(removed)
        assert state_of(again)[:5] == before


MAKINGS = [
    Making(Recipe(name, f"{name}.gguf", "template", "Mine", SamplerSettings(temp=temp)), NOON, seed=temp)
    for name, temp in (("tiny", 1), ("large", 2))
]


class TestTheWholeLifeOfAChat:
    """Whatever is done in whatever order, nothing is lost but what was deleted, and a file holds it all."""

    @settings(max_examples=120, deadline=None)
    @given(st.data())
    def test_the_tree_that_comes_back_is_the_same(self, data):
        chat = Conversation(now=lambda: NOON)
        chat.add("user", "woof?")
        undo, expected = [], {"m1": "woof?"}
        for step in range(data.draw(st.integers(1, 16))):
            known = ids(chat.messages)
            action = data.draw(
                st.sampled_from(
                    [
                        *("ask", "reroll", "edit", "edit in place", "flip", "go to", "end at"),
                        *("delete", "undo", "name", "pin", "load"),
                    ]
                )
            )
            chosen = data.draw(st.sampled_from(known)) if known else None
            text = f"text {step}"
            match action:
                case "ask":
                    expected[chat.add("user", text).id] = text
                    reply = chat.add("bot", text, finish="stop", ids=(step,))
                    made = (data.draw(st.sampled_from(MAKINGS)),)
                    chat.update(reply.id, content=text, finish="stop", ids=(step,), made=made)
                    expected[reply.id] = text
                case "reroll" | "edit" if chosen:
                    expected[chat.add_alternative(chosen, text).id] = text
                case "edit in place" if chosen:
                    undo.append(chat.get(chosen))
                    edited = chat.get(chosen).role == "bot" or None
                    expected[chosen] = chat.update(chosen, content=text, edited=edited).content
                case "flip" if chosen:
                    siblings = ids(chat.siblings(chosen))
                    chat.show(siblings[siblings.index(chosen) - 1])
                case "go to" if chosen:
                    chat.show(chosen)
                    assert chosen in ids(chat.path())
                case "end at" if chosen:
                    chat.end_at(chosen)
                case "delete" if chosen:
                    before, held = state_of(chat), dict(expected)
                    undo.append(removed := chat.remove(chosen))
                    for one in removed.messages:
                        del expected[one.id]
                    if data.draw(st.booleans()):  # taken back at once, nothing is to be seen of it
                        chat.put_back(undo.pop())
                        expected = held
                        assert state_of(chat) == before
                case "undo" if undo:
                    self.undo(chat, undo.pop(), expected)
                case "name" if chosen:
                    chat.name_branch(chosen, data.draw(st.sampled_from(["", 'the "cow"', "moo"])))
                case "pin" if chosen:
                    chat.set_pinned(chosen, True)
                case "load":
                    before = state_of(chat)
                    chat = saved_and_loaded(chat)
                    assert state_of(chat) == before
            assert {one.id: one.content for one in chat.messages} == expected
            path = chat.path()
            assert [one.parent for one in path] == [None, *ids(path)][: len(path)]
            assert (path[-1].id if path else None) == chat.head
        assert state_of(saved_and_loaded(chat)) == state_of(chat)

    def undo(self, chat, before, expected):
        try:
            if isinstance(before, Message):
                expected[before.id] = chat.restore(before).content
            else:
                chat.put_back(before)
                expected |= {one.id: one.content for one in before.messages}
        except ConversationError:
            return  # what it followed was deleted too

    def test_what_a_branch_last_showed_is_there_after_a_save(self, chat):
        older = chat.add("user", "older", parent="m2").id
        chat.add("user", "newer", parent="m2")
        chat.show(older)
        chat.add("user", "anew", parent=None)
        assert chat.shown_elsewhere() == (older,)
        again = saved_and_loaded(chat)
        again.show("m1")
        assert again.head == older

    def test_ids_of_what_is_not_there_any_more_are_passed_over(self, chat):
        again = Conversation(chat.messages, "m4", shown=("m99", "m3"))
        assert (again.head, again.shown_elsewhere()) == ("m4", ())


class TestNamingAndRestoring:
    def test_a_branch_is_named_and_its_name_taken_away(self, chat):
        assert chat.name_branch("m3", "the cat") is chat.get("m3")
        assert chat.get("m3").branch == "the cat"
        assert chat.update("m3", content="other").branch == "the cat"
        assert chat.name_branch("m3", "").branch == ""
        with pytest.raises(ConversationError, match="'m99'"):
            chat.name_branch("m99", "x")

    def test_an_edit_in_place_keeps_who_made_it_and_is_taken_back(self, chat):
        before = chat.update("m2", content="woof!", finish="stop", ids=(7, 8), made=tuple(MAKINGS))
        edited = chat.update("m2", content="arf", finish="stop", edited=True)
        assert (edited.made, edited.edited, edited.ids) == (tuple(MAKINGS), True, ())
        chat.set_pinned("m2", True)
        restored = chat.restore(before)
        assert (restored.content, restored.ids, restored.edited, restored.pinned) == (
            "woof!",
            (7, 8),
            False,
            True,
        )
        assert ids(chat.path()) == ["m1", "m2", "m3", "m4"]


class TestInvariants:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_whatever_is_done_it_stays_a_tree_with_its_head_on_it(self, data):
        conversation = Conversation(now=lambda: NOON)
        for _ in range(data.draw(st.integers(1, 25))):
            known = ids(conversation.messages)
            action = data.draw(st.sampled_from(["add", "branch", "alternative", "show", "end_at", "remove"]))
            if not known or action == "add":
                conversation.add("bot", "text")
                continue
            chosen = data.draw(st.sampled_from(known))
            if action == "branch":
                added = conversation.add("user", "text", parent=chosen)
                assert conversation.head == added.id
            elif action == "alternative":
                assert conversation.add_alternative(chosen).parent == conversation.get(chosen).parent
            elif action == "remove":
                conversation.remove(chosen)
            else:
                getattr(conversation, action)(chosen)
                assert chosen in ids(conversation.path())
            self.check(conversation)

    def check(self, conversation):
        again = Conversation(conversation.messages, conversation.head)
        assert again.path() == conversation.path()
        assert (conversation.head is None) == (not conversation.messages)
        path = conversation.path()
        assert [one.parent for one in path] == [None, *ids(path)][: len(path)]
        for one in conversation.messages:
            assert conversation.children(one.id) == again.children(one.id)
            assert one in conversation.siblings(one.id)

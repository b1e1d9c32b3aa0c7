"""Which messages the model reads where the context does not hold them all."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama.prompt import Turn
from easy_llama_tui.chats.context_window import (
    EVERYTHING,
    PathTurn,
    Policy,
    Window,
    fit_window,
    room_for_reply,
)

CONTEXT = 100


def turn(message, role, cost=10, *, pinned=False):
    """Return a turn of `cost` tokens, one for each character."""
    return PathTurn(Turn(role, "x" * cost), (message,), pinned)


def chat(*costs, system=0):
    """Return exchanges of q1, a1, q2, a2 and so on, of which each message costs the number given."""
    turns = [turn("s", "system", system)] if system else []
    for number, cost in enumerate(costs, start=1):
        turns += [turn(f"q{number}", "user", cost), turn(f"a{number}", "bot", cost)]
    return turns


def fit(turns, policy=Policy.DROP_OLDEST, before=frozenset(), *, context=CONTEXT, room=20, skew=0.0):
    """Fit turns of which each character is a token, with 4 more for the prompt and costs that are off."""
    lengths = [len(one.turn.content) for one in turns]
    return fit_window(
        turns,
        lambda indices: 4 + sum(lengths[index] for index in indices),
        [round(length * (1 + skew)) for length in lengths],
        context_length=context,
        room=room,
        policy=policy,
        outside_before=before,
    )


def kept(window, turns):
    return [message for one in turns if window.holds(one) for message in one.messages]


def pin(turns, *messages):
    return [replace(one, pinned=True) if set(messages) & set(one.messages) else one for one in turns]


class TestRoom:
    @pytest.mark.parametrize(
        ("context", "longest", "room"),
        [
            (2048, None, 512),
            (2048, 100, 100),
            (2048, 4000, 512),
            (2048, -1, 512),
            (2048, 0, 512),
            (3, None, 1),
        ],
    )
    def test_it_is_a_quarter_of_the_context_or_the_longest_reply(self, context, longest, room):
        assert room_for_reply(context, longest) == room


class TestWhatGoes:
    def test_a_chat_that_fits_is_whole(self):
        turns = chat(10, 10, 10)
        window = fit(turns)
        assert (window.outside, window.fits, window.tokens) == (frozenset(), True, 64)

    def test_exactly_full_is_not_too_full(self):
        assert fit(chat(19, 19)).outside == frozenset()  # 4 + 76 + 20 = 100
        assert fit([*chat(19, 19), turn("q3", "user", 1)]).outside == {"q1", "a1"}

    def test_the_oldest_exchange_goes_as_a_whole_and_some_room_is_made_for_the_next(self):
        turns = [*chat(10, 10, 10, 10), turn("q5", "user", 1)]  # 85 of 80; 67 leave an eighth free
        window = fit(turns)
        assert kept(window, turns) == ["q2", "a2", "q3", "a3", "q4", "a4", "q5"]
        assert (window.fits, window.tokens, window.next_out) == (True, 65, ("q2", "a2"))

    def test_what_would_go_next_is_known_before_anything_goes(self):
        assert fit(chat(10, 10)).next_out == ("q1", "a1")
        assert fit(chat(10)).next_out == ()
        assert fit(chat(10, 10), Policy.STOP).next_out == ()

    def test_the_system_message_at_the_head_stays(self):
        turns = chat(20, 20, 10, system=3)
        assert kept(fit(turns), turns)[0] == "s"
        assert fit(turns).outside == {"q1", "a1"}

    def test_a_system_message_on_the_way_goes_with_what_follows_it(self):
        turns = [*chat(10), turn("s2", "system"), *chat(10, 30)[2:]]
        turns[3:3] = [turn("q1b", "user"), turn("a1b", "bot")]
        window = fit(turns)
        assert {"q1", "a1", "s2", "q1b", "a1b"} == window.outside

    def test_what_is_pinned_stays_with_its_exchange(self):
        turns = pin(chat(15, 15, 15, 15), "a1")
        window = fit(turns)
        assert kept(window, turns) == ["q1", "a1", "q4", "a4"]
        assert window.next_out == ()

    def test_the_first_exchange_stays_where_that_is_wished(self):
        turns = chat(15, 15, 15, system=5)
        assert fit(turns, Policy.KEEP_FIRST).outside == {"q2", "a2"}

    def test_stop_leaves_out_nothing_and_says_when_it_is_full(self):
        assert fit(chat(12, 12, 12, 12), Policy.STOP) == Window(frozenset(), (), False, 100)
        assert fit(chat(12, 12, 12, 11), Policy.STOP).fits  # the reply has less room, but some

    def test_a_last_exchange_that_is_too_long_is_told(self):
        turns = chat(10, 10, 60)
        window = fit(turns)
        assert kept(window, turns) == ["q3", "a3"]
        assert (window.fits, window.tokens) == (False, 124)

    def test_no_messages_are_no_problem(self):
        assert fit([]) == Window(frozenset(), (), True, 4)
        assert fit([turn("s", "system")], Policy.KEEP_FIRST).fits
        assert EVERYTHING.holds(turn("q1", "user"))

    def test_messages_that_are_one_turn_go_together(self):
        joined = turn("q1", "user", 30).with_message("q1b", "y" * 18)
        turns = [joined, turn("a1", "bot"), *chat(20, 10)[2:], turn("q3", "user")]
        assert joined.turn.content.endswith("x\n\n" + "y" * 18)
        assert fit(turns).outside == {"q1", "q1b", "a1"}

    def test_a_pinned_message_holds_the_turn_that_it_is_part_of(self):
        assert turn("q1", "user").with_message("q2", "b", pinned=True).pinned
        assert turn("q1", "user", pinned=True).with_message("q2", "b").pinned


class TestFromTurnToTurn:
    def test_what_was_left_out_stays_out_while_the_rest_fits(self):
        turns = chat(10, 10, 10, 10)
        before = frozenset({"q1", "a1", "q2", "a2"})
        window = fit(turns, before=before)
        assert window.outside == before
        assert window.next_out == ("q3", "a3")

    def test_it_comes_back_once_all_of_it_fits(self):
        assert fit(chat(10, 10, 10), before=frozenset({"q1", "a1"})).outside == frozenset()

    def test_pinning_what_was_left_out_brings_it_back(self):
        before = frozenset({"q1", "a1", "q2", "a2"})
        turns = pin(chat(10, 10, 10, 10), "q1")
        assert fit(turns, before=before).outside == {"q2", "a2"}

    def test_messages_of_another_branch_have_no_say(self):
        assert fit(chat(10, 10, 10, 10), before=frozenset({"z1", "z2"})).outside == {"q1", "a1"}

    @pytest.mark.parametrize("policy", [Policy.DROP_OLDEST, Policy.KEEP_FIRST])
    def test_a_growing_chat_changes_its_beginning_seldom(self, policy):
        turns, outside, changes = [], frozenset(), 0
        for number in range(200):
            turns += [turn(f"q{number}", "user", 5), turn(f"a{number}", "bot", 5)]
            window = fit(turns, policy, outside, context=400, room=100)
            assert window.outside >= outside and window.tokens <= 300
            changes += window.outside != outside
            outside = window.outside
        # An eighth of the context is made free each time: room for five exchanges.
        assert changes <= 200 / 5


roles = st.sampled_from(["system", "user", "user", "bot", "bot"])
costs = st.integers(0, 60)


@st.composite
def conversations(draw):
    return [
        turn(f"m{number}", role, cost, pinned=pinned)
        for number, (role, cost, pinned) in enumerate(
            draw(st.lists(st.tuples(roles, costs, st.sampled_from([False] * 4 + [True])), max_size=16))
        )
    ]


def exchanges(turns):
    """Return the system messages at the head, and the exchanges after them, written anew for the test."""
    head = []
    rest = list(turns)
    while rest and rest[0].turn.role == "system":
        head.append(rest.pop(0))
    groups = []
    for one in rest:
        follows = groups and (one.turn.role == "bot" or groups[-1][-1].turn.role == "system")
        if follows:
            groups[-1].append(one)
        else:
            groups.append([one])
    return head, groups


class TestAnyChat:
    @settings(max_examples=400, deadline=None)
    @given(
        conversations(),
        st.sampled_from(Policy),
        st.integers(10, 600),
        st.integers(1, 150),
        st.floats(-0.5, 0.5),
        st.sets(st.integers(0, 15).map(lambda number: f"m{number}")),
    )
    def test_what_must_stay_stays_and_what_stays_fits(self, turns, policy, context, room, skew, before):
        room = min(room, context)
        window = fit(turns, policy, frozenset(before), context=context, room=room, skew=skew)
        head, groups = exchanges(turns)
        inside = [one for one in turns if window.holds(one)]

        assert window.tokens == 4 + sum(len(one.turn.content) for one in inside)
        assert window.fits == (window.tokens < context)
        must_stay = [*head, *(one for group in groups[-1:] for one in group)]
        must_stay += [one for group in groups for one in group if any(other.pinned for other in group)]
        must_stay += [one for group in groups[:1] for one in group if policy is Policy.KEEP_FIRST]
        assert all(window.holds(one) for one in must_stay)
        if policy is Policy.STOP:
            assert not window.outside
        # An exchange is read as a whole or not at all, and the oldest go first.
        may_go = [group for group in groups if not any(one in must_stay for one in group)]
        may_go = [] if policy is Policy.STOP else may_go
        gone = [all(not window.holds(one) for one in group) for group in may_go]
        assert gone == sorted(gone, reverse=True)
        assert {message for group in may_go[: sum(gone)] for one in group for message in one.messages} == (
            window.outside
        )
        following = may_go[sum(gone)] if sum(gone) < len(may_go) else []
        assert window.next_out == tuple(message for one in following for message in one.messages)
        # Nothing goes without need; where more could go, what is left leaves the reply its room.
        whole = 4 + sum(len(one.turn.content) for one in turns)
        assert not (whole <= context - room and window.outside)
        assert window.tokens <= context - room or not following

    @settings(max_examples=200, deadline=None)
    @given(conversations(), st.sampled_from(Policy), st.integers(40, 400), st.floats(-0.3, 0.3))
    def test_looking_twice_changes_nothing(self, turns, policy, context, skew):
        window = fit(turns, policy, context=context, skew=skew)
        assert fit(turns, policy, window.outside, context=context, skew=skew) == window

    @settings(max_examples=200, deadline=None)
    @given(conversations(), st.sampled_from(Policy), st.integers(40, 400), st.floats(-0.3, 0.3))
    def test_a_message_more_never_brings_another_back(self, turns, policy, context, skew):
        outside = frozenset()
        for count in range(len(turns) + 1):
            window = fit(turns[:count], policy, outside, context=context, skew=skew)
            assert window.outside >= outside
            outside = window.outside

"""Chat templates are rendered where they can be stopped, and where there is nothing to reach."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from easy_llama import chat_template, formats, template_process
from easy_llama.chat_template import ChatTemplate
from easy_llama.errors import ChatTemplateError
from easy_llama.formats import build_prompt, from_chat_template
from easy_llama.prompt import Turn, prompt_text
from easy_llama.template_process import TemplateFailure, render_template, unwanted_when

TALK = "{% for m in messages %}{{ m.content }}{% endfor %}"
NESTED = (
    "{% set n = namespace(a=[], b=[]) %}"
    "{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}"
)
ENDLESS = f"{NESTED}{{{{ n.a == n.b }}}}"
"""Compares two lists for longer than anybody lives, in one operation of Python's."""


def rendered(source: str, seconds: float = 5.0, **variables: object) -> str:
    return render_template(source, variables, size=100, now=datetime(2026, 11, 28), seconds=seconds)


def host_process() -> "subprocess.Popen[bytes]":
    assert template_process._current is not None
    return template_process._current._process


@pytest.fixture
def own_host() -> Iterator[None]:
    """A process that no other test has used or will use."""
    template_process._close()
    yield
    template_process._close()


# Too much

TOO_MUCH = {
    "a filter that pads": "{{ 'x'|center(10000000000) }}",
    "a method that pads": "{{ 'x'.ljust(10000000000) }}",
    "zeros": "{{ 'x'.zfill(10000000000) }}",
    "tabs": "{{ ('\t' * 1000000).expandtabs(100000) }}",
    "a filter that indents": "{{ ('a\n' * 99999)|indent(99999) }}",
    "a width in a format": "{{ '{:10000000000}'.format(1) }}",
    "a width in an old format": "{{ '%10000000000d'|format(1) }}",
    "a width given to a format": "{{ '%*d' % (1000000000, 1) }}",
    "a precision": "{{ '%.1000000000f' % 1 }}",
    "replacing": "{{ ('a' * 999999)|replace('a', 'a' * 999999) }}",
    "joining": "{{ range(99999)|join('a' * 999999) }}",
    "a batch": "{{ [1]|batch(10000000000, 1)|list }}",
    "slices": "{{ [1]|slice(10000000000)|list }}",
    "repeating": "{{ 'x' * 10000000000 }}",
    "a power": "{{ 2 ** (2 ** 40) }}",
    "powers": "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x ** 9 %}{% endfor %}",
    "a range": "{{ range(10000000000)|list }}",
    "a sum of lists": "{{ ([[0] * 999999] * 999999)|sum(start=[]) }}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "comparing": ENDLESS,
    "a text of shared lists": NESTED + "{{ n.a }}",
    "JSON of shared lists": NESTED + "{{ n.a|tojson }}",
    "a pretty text": NESTED + "{{ n.a|pprint }}",
    "doubling": "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "brackets": "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
    "brackets that never end": "{{ " + "[" * 300_000,
    "signs": "{{ " + "-" * 300_000 + "1 }}",
    "a long source": "{% if x %}" * 90_000,
    "a recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a recursive loop": "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    "words for a pattern": "{{ ('www.' * 99999)|urlize }}",
    "tags for a pattern": "{{ ('<' * 999999)|striptags }}",
    "a list that holds itself": "{% set l = [] %}{% set n = namespace(l=l) %}{{ [n, n]|sort }}" + ENDLESS,
}  # fmt: skip


QUICK = {
    "a filter that pads",
    "comparing",
    "replacing",
    "a power",
    "nested loops",
    "brackets",
    "a recursive loop",
}
"""Those that a short run tries."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "too_much" in metafunc.fixturenames:
        names = list(TOO_MUCH) if metafunc.config.getoption("--long") else sorted(QUICK)
        metafunc.parametrize("too_much", [TOO_MUCH[name] for name in names], ids=names)


@pytest.mark.long
def test_what_wants_too_much_is_refused_in_time(monkeypatch: pytest.MonkeyPatch, too_much: str) -> None:
    for module in (chat_template, template_process):
        monkeypatch.setattr(module, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(template_process, "_GRACE_SECONDS", 0.1)
    rendered("once")
    begun = time.monotonic()
    with pytest.raises(ChatTemplateError, match=r"^The chat template 'strange' .*--format chatml") as caught:
        from_chat_template(too_much + TALK, name="strange")
    assert time.monotonic() - begun < 5
    assert len(str(caught.value)) < 1000
    assert rendered("{{ 1 + 1 }}") == "2"


def test_the_time_of_what_is_late_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.05)
    with pytest.raises(ChatTemplateError, match=r"'strange' cannot render .* takes longer than 3 seconds"):
        from_chat_template(ENDLESS + TALK, name="strange")


def test_the_interpreter_is_free_while_a_template_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_process, "_GRACE_SECONDS", 0.0)
    rendered("once")
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.01):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(TemplateFailure, match="takes longer"):
        rendered(ENDLESS, seconds=0.3)
    done.set()
    thread.join()
    assert ticks >= 5  # of 30; none while one operation holds the interpreter


def test_a_model_with_such_a_template_gets_another_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.05)
    metadata = {"general.name": "A Yi chat model", "tokenizer.chat_template": ENDLESS + TALK}
    found = formats.for_metadata(metadata, bos_text="", eos_text="")
    assert found.name in formats.names()
    assert "chat template does not work (it takes longer" in found.notice


def test_a_template_that_stops_working_later_says_so() -> None:
    template = from_chat_template(
        "{% if messages|length > 5 %}" + ENDLESS + "{% endif %}" + TALK, name="strange"
    )
    assert prompt_text(build_prompt(template, [Turn("user", "Hi")])) == "Hi"
    talk = [Turn("user", "Hi"), Turn("bot", "Hello")] * 3
    with (
        unwanted_when(lambda: False),
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(ChatTemplateError, match="'strange' cannot render this conversation: it takes longer"),
    ):
        patch.setattr(chat_template, "MAX_SECONDS", 0.05)
        build_prompt(template, talk)
    assert prompt_text(build_prompt(template, [Turn("user", "Hi")])) == "Hi"


# No longer wanted


def test_a_rendering_that_is_not_wanted_any_more_ends() -> None:
    rendered("once")
    begun = time.monotonic()
    with (
        unwanted_when(lambda: time.monotonic() > begun + 0.1),
        pytest.raises(TemplateFailure, match="it was stopped"),
    ):
        rendered(ENDLESS, seconds=60.0)
    assert time.monotonic() - begun < 5


def test_what_is_not_wanted_is_not_begun(own_host: None) -> None:
    with unwanted_when(lambda: True), pytest.raises(TemplateFailure, match="it was stopped"):
        rendered("anything")
    assert template_process._current is None


# What a template says


@pytest.mark.parametrize("text", ["\x1b]52;c;aGk=\x07", "two\nlines", "\ud800", "\u202eevil", "x" * 100_000])
def test_what_a_template_raises_is_told_in_one_harmless_line(text: str) -> None:
    with pytest.raises(ChatTemplateError) as caught:
        from_chat_template("{{ raise_exception(words) }}", variables={"words": text})
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000


def test_text_of_any_kind_comes_back_as_it_was() -> None:
    text = "".join(map(chr, (*range(0x300), 0xD800, 0xDFFF, 0xFFFF, 0x1F642, 0x10FFFF)))
    assert rendered("{{ x }}", x=text) == text
    assert rendered("{{ x }}", x="é" * 1000 + "\r\n") == "é" * 1000 + "\r\n"


@pytest.mark.parametrize("value", [object(), {1, 2}, print, b"x"])
def test_variables_that_cannot_be_given_are_told(value: object) -> None:
    with pytest.raises(ChatTemplateError, match="its variables cannot be given to it"):
        from_chat_template(TALK, variables={"x": value})


# No way out

ESCAPES = {
    "the classes of a value": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "by index": "{{ ''['__class__']['__mro__'] ~ ''['__class__'].x }}",
    "by filter": "{{ (''|attr('__class__')|attr('__mro__')|last|attr('__subclasses__'))() }}",
    "by a name put together": "{{ (''|attr('__cla' ~ 'ss__')).x }}",
    "by map": "{{ (['']|map(attribute='__class__')|list)[0].x }}",
    "by map and attr": "{{ (['']|map('attr', '__class__')|list)[0].x }}",
    "by sorting": "{{ ['', '']|sort(attribute='__class__.__mro__.x') ~ raise_exception('') }}",
    "by grouping": "{{ (['']|groupby('__class__'))[0].grouper.x }}",
    "by selecting": "{{ (['']|selectattr('__class__')|list)[0].x }}",
    "by format": "{{ '{0.__class__.__mro__}'.format('') }}",
    "by format_map": "{{ '{a.__class__.__mro__}'.format_map({'a': ''}) }}",
    "by a method as a value": "{% set f = '{0.__class__.__mro__}'.format %}{{ f('') }}",
    "by attr and format": "{{ ('{0.__class__.__mro__}'|attr('format'))('') }}",
    "by map and format": "{{ (['{0.__class__.__mro__}']|map('attr', 'format')|first)('') }}",
    "globals of cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "globals of joiner": "{{ joiner.__init__.__globals__.os }}",
    "globals of namespace": "{{ namespace.__init__.__globals__.os }}",
    "lipsum": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "raise_exception": "{{ raise_exception.__globals__.sys.modules }}",
    "range": "{{ range.__self__.x }}",
    "the clock": "{{ strftime_now.__self__.__class__.x }}",
    "the template itself": "{{ self.__init__.__globals__.x }}",
    "its reference": "{{ self._TemplateReference__context.x.y }}",
    "a block's context": "{% block a %}{{ self.a.__func__.__globals__.x }}{% endblock %}",
    "a macro": "{% macro f() %}{% endmacro %}{{ f._func.__globals__.x }}",
    "a macro's code": "{% macro f() %}{% endmacro %}{{ f.__call__.__func__.__code__.x }}",
    "a caller": "{% macro f() %}{{ caller._func.__globals__.x }}{% endmacro %}{% call f() %}{% endcall %}",
    "a loop": "{% for a in [1] %}{{ loop.__init__.__globals__.x }}{% endfor %}",
    "a loop's own": "{% for a in [1] %}{{ loop._iterator.gi_frame.f_globals.x }}{% endfor %}",
    "a generator": "{{ ([1]|map('string')).gi_frame.f_builtins.x }}",
    "an undefined value": "{{ missing._fail_with_undefined_error.__globals__.x }}",
    "an undefined value's exception": "{{ missing._undefined_exception.__init__.__globals__.x }}",
    "the environment": "{{ self.environment.x }}{{ environment.x }}",
    "config": "{{ config.items() }}",
    "request": "{{ request.application.__globals__ }}",
    "an include": "{% include '/etc/passwd' %}",
    "an include that may be missing": "{% include ['/etc/passwd', 'x'] ignore missing %}{{ missing.x }}",
    "an import": "{% import 'os' as os %}{{ os.environ }}",
    "a from import": "{% from 'os' import environ %}{{ environ }}",
    "an extended template": "{% extends '/etc/passwd' %}",
    "changing a list": "{{ messages.append({}) }}",
    "changing by method": "{% set f = messages.append %}{{ f({}) }}",
    "changing a dict": "{{ messages[0].update({'content': 'x'}) }}",
    "changing by attr": "{{ (messages|attr('append'))({}) }}",
    "changing by map": "{{ [{}]|map('list')|map('attr', 'x')|list }}{{ messages.clear() }}",
    "assigning to an attribute": "{% set messages.x = 1 %}",
    "the name of the budget": "{{ ['budget of this rendering'].__class__.x }}",
}  # fmt: skip
"""Each goes a step further than it can get: an undefined value by itself is only empty."""


@pytest.mark.parametrize("source", ESCAPES.values(), ids=ESCAPES)
def test_known_ways_out_lead_nowhere(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        from_chat_template(source + TALK)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}{{ x.__init__ }}{{ x['__init__'] }}{{ x|attr('__class__') }}",
        "{{ cycler.__init__ }}{{ joiner.__globals__ }}{{ raise_exception.__code__ }}",
        "{{ ['']|map(attribute='__class__')|join }}{{ self.environment }}{{ lipsum }}",
    ],
)
def test_what_is_not_to_be_seen_is_empty(source: str) -> None:
    assert rendered(source, x=[]) == ""


BROKEN_OUT = """
import os, sys
sys.path += {folders!r}
from easy_llama import template_host
template_host._render_once()
template_host._give_up_rights()
import io, socket, subprocess, ctypes
tries = {{
    "file": lambda: open("/etc/hostname"),
    "io": lambda: io.open_code("/etc/hostname"),
    "descriptor": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "folder": lambda: os.listdir("/"),
    "socket": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "child": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "fork": lambda: os.fork(),
    "other program": lambda: os.execv("/bin/true", ["true"]),
    "module": lambda: __import__("sqlite3"),
    "native code": lambda: ctypes.CDLL(None),
    "other process": lambda: os.kill(os.getppid(), 0),
    "environment": lambda: os.environ["HOME"],
    "memory": lambda: bytearray(2**30),
    "no try": lambda: None,
}}
for name, attempt in tries.items():
    try:
        attempt()
    except (OSError, MemoryError, KeyError, RuntimeError) as error:
        continue
    print(name)
"""


def test_whoever_gets_out_finds_nothing() -> None:
    folders = template_process._command()[5:]
    # They are imported first here, as what a breakout may find loaded.
    program = "import io, socket, subprocess, ctypes\n" + BROKEN_OUT.format(folders=folders)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, env={}
    )
    assert done.stdout.split("\n") == ["no try", ""], done.stderr


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_process_knows_nothing_of_this_one(monkeypatch: pytest.MonkeyPatch, own_host: None) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    assert rendered("{{ 1 }}") == "1"
    process = Path(f"/proc/{host_process().pid}")
    assert b"A_SECRET" not in (process / "environ").read_bytes()
    assert str((process / "cwd").readlink()) == "/"
    assert len(list((process / "fd").iterdir())) == 3
    assert os.getsid(host_process().pid) != os.getsid(0)


def test_the_process_loads_jinja_and_little_else() -> None:
    program = "import sys; sys.path += sys.argv[1:]; import easy_llama.template_host; print(*sys.modules)"
    command = [*template_process._command()[:4], program, *template_process._command()[5:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "jinja2" in loaded, done.stderr
    assert loaded - sys.stdlib_module_names <= {"__main__", "easy_llama", "jinja2", "markupsafe"}


# The process itself


def test_one_that_died_is_replaced() -> None:
    assert rendered("{{ 1 }}") == "1"
    first = host_process()
    first.kill()
    first.wait()
    assert rendered("{{ 2 }}") == "2"
    assert host_process().pid != first.pid


def test_one_is_kept(own_host: None) -> None:
    rendered("{{ 1 }}")
    first = host_process().pid
    with contextlib.suppress(TemplateFailure):
        rendered("{{ raise_exception('no') }}")
    assert rendered("{{ 2 }}") == "2"
    assert host_process().pid == first


def test_one_whose_request_was_broken_off_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered("once")
    first = host_process().pid

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(template_process, "read_message", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rendered("one")
    assert rendered("two") == "two"
    assert host_process().pid != first


@pytest.mark.parametrize(
    "answers",
    [
        b"",
        b"nonsense",
        b"\xff" * 100,
        b"\0\0\0\0\0\0\0\x02{}",
        b"\0\0\0\0\0\0\0\x02[]",
        b"\0\0\0\0\0\0\0\x0f" + b'{"ready": true}',
        b"\0\0\0\0\0\0\0\x0f" + b'{"ready": true}' + b"\0\0\0\0\0\0\0\x02{}",
        b"\0\0\0\0\0\0\0\x0f" + b'{"ready": true}' + b"\0\0\0\0\0\0\0\x0b" + b'{"text": 1}',
        b"\0\0\0\0\0\0\0\x0f" + b'{"ready": true}' + b"\0\0\0\0\x7f\xff\xff\xff" + b"x" * 9,
        b"\0\0\0\0\0\0\0\x0f" + b'{"ready": true}' + (4000).to_bytes(8, "big") + b"[" * 4000,
    ],
)
def test_one_that_answers_nonsense_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, own_host: None, answers: bytes
) -> None:
    program = f"import sys; sys.stdout.buffer.write({answers!r}); sys.stdout.flush(); sys.stdin.read()"
    monkeypatch.setattr(template_process, "_command", lambda: [sys.executable, "-I", "-S", "-c", program])
    monkeypatch.setattr(template_process, "_START_SECONDS", 0.5)
    monkeypatch.setattr(template_process, "MAX_SECONDS", 0.1)
    with pytest.raises(ChatTemplateError):
        from_chat_template(TALK)


def test_a_program_that_is_no_python_starts_none(monkeypatch: pytest.MonkeyPatch, own_host: None) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ChatTemplateError, match="cannot be started: there is no Python beside this program"):
        from_chat_template(TALK)


def run_script(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments, "-c", script], capture_output=True, text=True, timeout=60
    )


def test_whoever_imports_the_library_needs_no_main_guard(tmp_path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import easy_llama.formats as formats\n"
        "print('begun')\n"
        f"print(formats.wrap('Hi', formats.from_chat_template({TALK!r})))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("begun\nHi\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_program_has_one_of_its_own() -> None:
    done = run_script(
        f"""
import os
from easy_llama import formats, template_process
template = formats.from_chat_template({TALK!r})
first = template_process._current._process.pid
pid = os.fork()
print(formats.wrap("Hi", template), first == template_process._current._process.pid, bool(pid), flush=True)
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    )
    assert sorted(done.stdout.split("\n")) == ["", "Hi False False", "Hi True True"], done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_none_is_left_behind() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", f"""
from easy_llama import formats, template_process
formats.from_chat_template({TALK!r})
print(template_process._current._process.pid, flush=True)
input()
"""],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdin is not None and program.stdout is not None
    with program, program.stdin, program.stdout:
        host = int(program.stdout.readline())
        os.kill(host, 0)
        program.send_signal(signal.SIGKILL)
        program.wait()
    deadline = time.monotonic() + 20
    while is_running(host):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):  # one that nobody asks about any more counts as ended
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def test_templates_are_rendered_for_many_threads_at_once() -> None:
    templates = [from_chat_template(f"{number}{TALK}") for number in range(4)]
    found: dict[int, list[str]] = {}

    def use(number: int, template: ChatTemplate) -> None:
        found[number] = [prompt_text(build_prompt(template, [Turn("user", f"m{k}")])) for k in range(20)]

    threads = [threading.Thread(target=use, args=(n, one)) for n, one in enumerate(templates)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"{number}m{k}" for k in range(20)] for number in range(4)}


def test_one_template_that_is_killed_takes_no_other_with_it() -> None:
    rendered("once")
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(rendered("{{ 1 }}", seconds=30.0)))

    def begin_the_other() -> bool:
        if threading.current_thread() is not threading.main_thread() and not thread.ident:
            thread.start()  # this one is under way, so that it has to wait
        return False

    with unwanted_when(begin_the_other), pytest.raises(TemplateFailure, match="takes longer"):
        rendered(ENDLESS, seconds=0.3)
    thread.join()
    assert found == ["1"]

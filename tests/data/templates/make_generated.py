#!/usr/bin/env python3
"""Writes generated.jsonl: small templates made up at random, with what Jinja2 makes of them.

Every filter, test, method and kind of statement that the engine has occurs in several cases, with operands of all
types. The environment is set up as transformers does for chat templates. Python 3 with jinja2 3.1 is needed:

  make_generated.py > generated.jsonl                          # the committed cases
  make_generated.py --seed 7 --check build/tools/slm-inspect   # new cases, compared at once

Lines: first the variables of all cases, then [template, rendered], or [template, null, kind, message]; kind is
"syntax" (the template is not valid), "raise" (by raise_exception, with its message) or "fail" (while it runs).
"""

import argparse
import datetime
import json
import random
import re
import subprocess
import sys
import tempfile
import warnings

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 12, 5)

VARIABLES = {
    "s": "Hello wOrld", "u": "naïve 日本 🦙", "w": "  pad \n", "n": 7, "m": -3, "f": 2.5, "t": True, "z": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c"], "d": {"b": 1, "a": {"c": "é"}}, "e": [], "h": "<a href='x'>B&C</a>",
    "rows": [{"k": "x", "v": 1}, {"k": "Y", "v": 2}, {"k": "x", "v": 3}],
    "tree": [{"n": "a", "c": [{"n": "b", "c": []}, {"n": "c", "c": [{"n": "d", "c": []}]}]}],
    "messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": " hi "},
        {"role": "assistant", "content": None,
         "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "user", "content": [{"type": "text", "text": "x"}]}],
}


class Raised(jinja2.exceptions.TemplateError):
    pass


class Generation(jinja2.ext.Extension):
    """Blocks that mark what the model says; they print their body."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def make_environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[jinja2.ext.loopcontrols, Generation])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise Raised(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


STRINGS = ["s", "u", "w", "h", "d.a.c", "messages[1].content", "'a'", "'b c b'", "''", "\"it's\"", "'a\\nb\\n'", "'x,y'",
           "'-42'", "'3.5'", "'<b>é'"]
NUMBERS = ["n", "m", "f", "0", "1", "-2", "3.5", "1e3", "0.1"]
LISTS = ["l", "ls", "e", "rows", "messages", "[]", "[1, 2.5, 'x']", "(1, 2)", "[[1, 2], [3]]"]
DICTS = ["d", "{}", "{'k': 'v', 'j': [1]}", "messages[0]", "rows[1]"]
OTHERS = ["t", "z", "nope", "none", "true", "false", "messages[2].content"]
OPERANDS = STRINGS + NUMBERS + LISTS + DICTS + OTHERS

# name or call -> operands that make sense; now and then others are taken
FILTERS = {
    **dict.fromkeys(["trim", "trim('H d')", "upper", "lower", "title", "capitalize", "replace('l', 'L', 1)",
                     "replace('b', '')", "indent", "indent(2, true)", "indent('> ', blank=true)", "escape", "e | e",
                     "safe | e", "wordcount", "center(16)", "truncate(8)", "truncate(7, true, '~')",
                     "truncate(6, leeway=0)", "striptags", "urlencode", "int", "int(-1)", "float", "float(1.5)", "list",
                     "reverse", "first", "last", "length", "count", "string", "tojson", "default('D', true)"], STRINGS),
    **dict.fromkeys(["abs", "round", "round(1)", "round(-1)", "round(1, 'ceil')", "round(method='floor')", "int",
                     "float", "string", "tojson", "d(5, boolean=true)"], NUMBERS),
    **dict.fromkeys(["join", "join(', ')", "join('-', attribute='k')", "sort", "sort(reverse=true)", "unique | list",
                     "sum", "min", "max", "batch(2) | list", "batch(2, '-') | list", "slice(2) | list",
                     "slice(2, 0) | list", "reverse | list", "first", "last", "length", "map('string') | list",
                     "map('length') | list", "select | list", "reject | list", "select('string') | list",
                     "select('gt', 1) | list", "reject('odd') | list", "tojson", "tojson(indent=2)", "string"], LISTS),
    **dict.fromkeys(["map(attribute='k') | list", "map(attribute='k', default='?') | join", "selectattr('v') | list",
                     "selectattr('v', 'gt', 1) | list", "rejectattr('k', 'equalto', 'x') | list",
                     "sort(attribute='v', reverse=true)", "sort(attribute='k,v')", "groupby('k') | list",
                     "groupby('k', default='-') | length", "sum(attribute='v')", "max(attribute='v')",
                     "min(attribute='k')", "unique(attribute='k') | list", "map('dictsort') | list",
                     "map('tojson') | join(';')"], ["rows", "rows[1:]", "rows * 2"]),
    **dict.fromkeys(["dictsort", "dictsort(reverse=true)", "items | list", "tojson", "tojson(sort_keys=true)",
                     "tojson(separators=(',', ':'))", "tojson(indent=1)", "length", "list", "string", "first",
                     "tojson(ensure_ascii=true)"], DICTS),
    **dict.fromkeys(["default('D')", "d", "attr('k')"], OTHERS),
    "format(1, 'x')": ["'%s-%s'", "'%03d|%-3s|'", "'%.2f %r'"],
    "dictsort(by='value')": ["{'a': 2, 'b': 1}", "rows[0]"],
}
METHODS = {
    **dict.fromkeys(["strip()", "lstrip()", "rstrip()", "strip('Hd ')", "upper()", "lower()", "title()", "capitalize()",
                     "swapcase()", "split()", "split('b')", "split(' ', 1)", "split(none, 1)", "rsplit('b', 1)",
                     "rsplit(maxsplit=1)", "splitlines()", "splitlines(true)", "startswith('H')",
                     "startswith(('a', 'n'))", "endswith('d')", "startswith('l', 2)", "replace('b', '0')",
                     "replace('b', '', 1)", "find('o')", "find('o', 5)", "rfind('o')", "count('b')", "count('')",
                     "index('b')", "isdigit()", "isalpha()", "isalnum()", "isspace()", "islower()", "isupper()",
                     "partition(' ')", "rpartition('b')", "zfill(12)", "ljust(12, '.')", "rjust(12)",
                     "center(15, '*')", "join(ls)", "removeprefix('He')", "removesuffix('d')", "expandtabs(4)",
                     "casefold()", "nope()", "format(1)"], STRINGS),
    **dict.fromkeys(["get('b')", "get('q', 5)", "items() | list", "keys() | list", "values() | list", "copy()", "b",
                     "items", "pop('b')", "update({})"], DICTS),
    **dict.fromkeys(["index(1)", "count(1)", "copy()", "append(1)", "0", "x"], LISTS),
    **dict.fromkeys(["format(1, 'x')", "format(a=1, b='é')"], ["'{}|{:>4}'", "'{1}{0:03d}'", "'{a:.2f}{b!r}'"]),
}
TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "integer",
         "float", "true", "false", "odd", "even", "divisibleby 2", "divisibleby(3)", "callable", "in [1, 7, 'a']",
         "in l", "equalto 7", "eq('a')", "ne 'a'", "gt 1", "ge(2)", "lt 3", "le 0", "lower", "upper", "sameas none",
         "sameas(n)", "escaped", "not none", "not defined", "not string"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
SUBSCRIPTS = ["[1:]", "[:-1]", "[::-1]", "[::2]", "[-2:]", "[5:1:-2]", "[:0]", "[1:3]", "[0]", "[-1]", "[9]", "['k']",
              "['b']", ".role", ".b", "[-9:9:3]", "[2::-1]", "[n]", "[none:2]", "[true]"]
JSON = ["{'b': 1, 'a': 'a/b <x> & \\'é\\''}", "[none, true, 1.0, 1e20, 'é\\n\"\\\\']", "{1: [], none: {}, true: ()}",
        "'\\u2028\\x01\\x7f🦙'", "rows", "d", "nope", "[namespace()]"]
JSON_CALLS = ["tojson", "tojson(indent=2)", "tojson(ensure_ascii=False)", "tojson(ensure_ascii=true)",
              "tojson(sort_keys=true)", "tojson(separators=(',', ':'))", "tojson(indent=4, separators=(', ', ' = '))",
              "tojson(true, 1)", "tojson(indent='--')"]
LOOP = ["index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem", "depth", "depth0",
        "cycle('a', 'b')", "changed(x)", "nope"]
DATES = ["%Y-%m-%d", "%d %b %Y", "%B %-d, %Y", "%A, %H:%M", "%y%j %p%I", "%a %U %W %w %u", "%D %T %%", "%e|%h|%R"]
SPACES = ["", "", " ", "\n", "\n  ", "  \n", "\t", "\n\n"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def choose(self, options):
        return self.random.choice(options)

    def operand(self, fitting=OPERANDS, stray=0.1):
        return self.choose(OPERANDS if self.random.random() < stray else fitting)

    def expression(self, depth=2):
        kind = self.random.random()
        if depth == 0 or kind < 0.2:
            return self.operand()
        inner = lambda: self.expression(depth - 1)
        if kind < 0.4:
            return f"{inner()} {self.choose(BINARY)} {inner()}"
        if kind < 0.55:
            name = self.choose(list(FILTERS))
            return f"{self.operand(FILTERS[name])} | {name}"
        if kind < 0.65:
            name = self.choose(list(METHODS))
            return f"{self.operand(METHODS[name], 0)}.{name}"
        if kind < 0.73:
            return f"{inner()} is {self.choose(TESTS)}"
        if kind < 0.8:
            return f"{self.operand(LISTS + ['s', 'u', 'd'], 0)}{self.choose(SUBSCRIPTS)}"
        return self.choose([lambda: f"({inner()})", lambda: f"not {inner()}", lambda: f"-{self.operand(NUMBERS)}",
                            lambda: f"[{inner()}, {inner()}]", lambda: f"{{'k': {inner()}, 1: {inner()}}}",
                            lambda: f"{inner()} if {inner()} else {inner()}", lambda: f"{inner()} if {inner()}",
                            lambda: f"'%s|%s' % ({inner()}, {inner()})", lambda: f"{inner()}, {inner()}",
                            lambda: f"range({self.choose(['3', '1, 4', '5, 0, -2', 'n', 'f'])}) | list"])()

    def tag(self, words):
        return "{%" + self.choose(["", "", "-", "+"]) + f" {words} " + self.choose(["", "", "-", "+"]) + "%}"

    def show(self, expression):
        return "{{" + self.choose(["", "", "-"]) + f" {expression} " + self.choose(["", "", "-"]) + "}}"

    def space(self):
        return self.choose(SPACES)

    def statement(self, kind, depth=1):
        e, tag, show, space = self.expression, self.tag, self.show, self.space
        body = lambda: (self.statement(self.choose(list(STATEMENTS)), depth - 1) if depth > 0 and
                        self.random.random() < 0.6 else space() + self.choose(["text", show(e(1)), show("x")]) + space())
        return STATEMENTS[kind](self, e, tag, show, body)


STATEMENTS = {
    "if": lambda m, e, tag, show, body: tag("if " + e(1)) + body() + tag("elif " + e(1)) + body() + tag("else") +
    body() + tag("endif"),
    "for": lambda m, e, tag, show, body: tag("for x in " + m.operand(LISTS + DICTS + ["s", "u", "range(3)"]) +
                                             m.choose(["", " if x", " if x is string"])) + show(
        "loop." + m.choose(LOOP)) + body() + m.choose(["", tag("else") + "none"]) + tag("endfor"),
    "for with pairs": lambda m, e, tag, show, body: tag(m.choose(
        ["for x, y in d.items()", "for x, y in d | dictsort", "for (x, y) in [(1, 2), (3, 4)]", "for x, y in ls",
         "for x, y in rows | groupby('k')", "for x, y in [[1, 2, 3]]"])) + show("x") + show("y") + tag("endfor"),
    "for with break": lambda m, e, tag, show, body: tag("for x in " + m.choose(["l", "ls", "'abc'"])) + body() + tag(
        "if " + m.choose(["loop.index == 2", "x == 1", "loop.last"])) + tag(m.choose(
            ["break", "continue"])) + tag("endif") + show("x") + m.choose(["", tag("else") + "none"]) + tag("endfor"),
    "recursive for": lambda m, e, tag, show, body: tag("for x in tree recursive") + show("x.n") + m.choose(
        ["", show("loop.depth")]) + tag("if x.c") + "(" + show("loop(x.c)") + ")" + tag("endif") + tag("endfor"),
    "nested for": lambda m, e, tag, show, body: tag("for y in " + m.choose(["l", "ls"])) + tag(
        "for x in " + m.choose(["l", "[y, y]", "ls[:2]"])) + show("loop." + m.choose(LOOP[:7])) + body() + tag(
            "endfor") + show("loop." + m.choose(LOOP[:7])) + tag("endfor"),
    "set": lambda m, e, tag, show, body: tag("set x = " + e()) + body() + show("x"),
    "set several": lambda m, e, tag, show, body: tag(m.choose(["set x, y = ", "set (x, y) = "]) + m.choose(
        ["1, 2", "(n, m)", "l[:2]", "'ab'", "l", "n"])) + show("x ~ y"),
    "set block": lambda m, e, tag, show, body: tag("set x" + m.choose(["", " | upper", " | trim | length"])) + body(
    ) + tag("endset") + show("x"),
    "set in a loop": lambda m, e, tag, show, body: tag("set x = 0") + tag("for y in l") + tag("set x = x + y") + show(
        "x") + tag("endfor") + show("x"),
    "namespace": lambda m, e, tag, show, body: tag("set ns = namespace(" + m.choose(
        ["x=0", "{'x': 1}", "x=1, y='a'", "[('x', 2)]"]) + ")") + tag("for y in l") + tag(
            "set ns.x = ns.x + y") + tag("endfor") + show("ns.x") + show(m.choose(["ns.y", "ns.q", "ns['x']", "x"])),
    "macro": lambda m, e, tag, show, body: tag("macro g(" + m.choose(["x", "x, y=2", "x='d', y=x"]) + ")") + body() +
    show("x") + show("y") + tag("endmacro") + show("g(" + m.choose(["", e(0), "y=3, x=1", "1, 2", "1, q=2"]) + ")"),
    "macro of any arguments": lambda m, e, tag, show, body: tag("macro g(x)") + show("x") + show("varargs") + show(
        "kwargs") + tag("endmacro") + show("g(" + m.choose(["1", "1, 2, 3", "1, a=2", "a=1, b=n"]) + ")"),
    "recursive macro": lambda m, e, tag, show, body: tag("macro g(x)") + tag("if x > 0") + show("x") + show(
        "g(x - 1)") + tag("endif") + tag("endmacro") + show("g(" + m.choose(["3", "n", "0", "z"]) + ")"),
    "call block": lambda m, e, tag, show, body: tag("macro g()") + "<" + show("caller(" + m.choose(
        ["", "1", "x=2"]) + ")") + ">" + tag("endmacro") + tag("call" + m.choose(
            ["", "(x)", "(x=5)"]) + " g()") + body() + tag("endcall"),
    "filter block": lambda m, e, tag, show, body: tag("filter " + m.choose(
        ["upper", "trim | length", "replace('e', 'E')", "indent(2)"])) + body() + tag("endfilter"),
    "with": lambda m, e, tag, show, body: tag("with x = " + e(1) + m.choose(["", ", y = n", ", y = x"])) + body(
    ) + show("y") + tag("endwith") + show("x"),
    "generation": lambda m, e, tag, show, body: tag("generation") + body() + tag("set x = 1") + tag(
        "endgeneration") + show("x"),
    "raw": lambda m, e, tag, show, body: tag("raw") + m.space() + m.choose(["{{ x }}", "{% if %}", "{# c #}"]) +
    m.space() + tag("endraw") + body(),
    "comment": lambda m, e, tag, show, body: m.space() + "{#" + m.choose(["", "-", "+"]) + " c " + m.choose(
        ["", "-", "+"]) + "#}" + body(),
    "raise": lambda m, e, tag, show, body: tag("if " + e(1)) + show("raise_exception(" + m.choose(
        ["'No tools'", "'Got ' ~ n", "\"it's \" + s"]) + ")") + tag("endif") + body(),
    "objects": lambda m, e, tag, show, body: m.choose([
        tag("set c = cycler('a', 'b')") + show("c.next()") + show("c.next()") + show("c.current") + show("c.next()"),
        tag("set j = joiner('|')") + tag("for x in l") + show("j()") + show("x") + tag("endfor"),
        show("dict(a=1, b=n)") + show("dict({'q': 1}, r=2) | tojson") + show("dict([('x', l)])")]),
    "brace in a string": lambda m, e, tag, show, body: show(m.choose(["'}}'", "'%}' ~ n", "{'a': '}'}", "{'a': {'b': 1}}.a.b",
                                                                  "'{{' ~ \"{%\""])) + body(),
}

# Python objects that have no text of their own here, and numbers of more than 64 bits.
NO_TEXT = re.compile(r"<(generator|built-in|bound|function|class|jinja|Template|Macro|Loop)|object at 0x|dict_|Undefined|"
                     r"Markup\(|range\(\d|\d{19}|<Namespace|cycler|joiner")


def outcome(env, template):
    """What is to be expected, or None if it is of no use as a case."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rendered = env.from_string(template).render(**VARIABLES)
    except jinja2.TemplateSyntaxError:
        return [template, None, "syntax"]
    except Raised as error:
        return [template, None, "raise", str(error)]
    except Exception:  # whatever Python makes of it
        return [template, None, "fail"]
    if NO_TEXT.search(rendered) or len(rendered) > 300:
        return None
    return [template, rendered]


def add(cases, env, make, good, bad=0, kinds=("syntax", "raise", "fail")):
    """Cases: `good` that render and `bad` that fail in one of these ways, as far as a few attempts bring them up."""
    for _ in range(60):
        if good <= 0 and bad <= 0:
            return
        template = make()
        if len(template) > 260 or template in cases:
            continue
        case = outcome(env, template)
        if case is None:
            continue
        if case[1] is not None and good > 0:
            good -= 1
        elif case[1] is None and bad > 0 and case[2] in kinds:
            bad -= 1
        else:
            continue
        cases[template] = case


def generate(seed):
    env, m, cases = make_environment(), Maker(seed), {}
    for name, fitting in FILTERS.items():
        add(cases, env, lambda: m.show(f"{m.operand(fitting)} | {name}"), 1)
    for name, fitting in METHODS.items():
        add(cases, env, lambda: m.show(f"{m.operand(fitting, 0)}.{name}"), 1)
    for name in TESTS:
        add(cases, env, lambda: m.show(f"{m.operand()} is {name}"), 2)
    for name in BINARY:
        add(cases, env, lambda: m.show(f"{m.operand()} {name} {m.operand()}"), 2, 1)
    for name in SUBSCRIPTS:
        add(cases, env, lambda: m.show(f"{m.choose(['s', 'u', 'l', 'ls', 'd', 'rows', 'nope'])}{name}"), 2)
    for name in JSON_CALLS:
        add(cases, env, lambda: m.show(f"{m.choose(JSON)} | {name}"), 3)
    for name in DATES:
        add(cases, env, lambda: m.show(f"strftime_now('{name}')"), 1)
    for name in STATEMENTS:
        add(cases, env, lambda: m.space() + m.statement(name) + m.space(), 8, 2)
    add(cases, env, lambda: m.show(m.expression(3)), 60, 20)
    for template in list(cases):  # slips of the pen
        if m.random.random() < 0.1:
            at = m.random.randrange(len(template))
            add(cases, env, lambda: template[:at] + template[at + 1:], 0, 1, ["syntax"])
    return list(cases.values())


def compare(program, cases):
    """Runs `program render`, which is slm-inspect, on each case and shows the differences."""
    same = 0
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        command = [program, "render", "--template", file.name, "--context", "-", "--now", NOW.strftime("%Y-%m-%d")]
        for case in cases:
            file.seek(0)
            file.truncate()
            file.write(case[0])
            file.flush()
            run = subprocess.run(command, input=json.dumps(VARIABLES).encode(), capture_output=True, check=False)
            message = run.stderr.decode()
            found = run.stdout.decode() if run.returncode == 0 else None
            if found == case[1] and (len(case) < 4 or case[3] in message):
                same += 1
            else:
                print(f"{case[0]!r}\n  expected {case[1:]!r}\n  found    {found!r} {message}")
    print(f"{same} of {len(cases)} are the same")
    return same == len(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", metavar="SLM_INSPECT", help="compare with this program instead of writing the cases")
    arguments = parser.parse_args()
    cases = generate(arguments.seed)
    if arguments.check:
        return 0 if compare(arguments.check, cases) else 1
    for line in [VARIABLES, *cases]:
        print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())

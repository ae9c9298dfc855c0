"""The notation of the models, and an exhaustive search of their states.

A model is a text. `start` defines its variables and their initial values, `let` names a piece of text. The other lines
are

    a step ? its condition → its changes
    promise a promise ? the condition that violates it (`was` is the state before the step)
    good the condition of a good state
    live a promise: a good state can be reached from every state, without faults and without clients' steps

Conditions and changes are Python. A lower-case word that is not a variable stands for itself. «…» is a safeguard that
the search can remove. <…> is filled in. A step that uses a parameter exists once for each of its values.
"""

import ast
import builtins
import re
from collections import Counter, defaultdict, namedtuple
from collections.abc import Mapping
from typing import Any

NOT_RELIED_ON = ("fault", "client")
Model = namedtuple("Model", "name initial steps broken good live")
Found = namedtuple("Found", "states edges promise trace", defaults=(None, ()))


def search(model: Any, without: str | None = None) -> Any:
    """All states, and the steps of the whole model, breadth first; or a violated promise with a shortest trace."""
    came: dict[Any, Any] = {model.initial: None}
    order, edges, before = [model.initial], [], defaultdict(set)

    def way(state: Any, *then: str) -> tuple[str, ...]:
        while came[state] is not None:
            state, action = came[state]
            then = (action, *then)
        return then

    for state in order:
        for action, after in model.steps(state, lambda safeguard: safeguard != without):
            if without is None:
                edges.append((state, action, after))
            for promise in model.broken(state, after):
                return Found(len(came), edges, promise, way(state, action))
            if after not in came:
                came[after] = state, action
                order.append(after)
            if not action.startswith(NOT_RELIED_ON):
                before[after].add(state)
    back = [state for state in order if model.good(state)]
    reaching = set(back)
    for state in back:
        new = before[state] - reaching
        reaching |= new
        back += new
    doomed = next((state for state in order if state not in reaching), None)
    return Found(len(came), edges, *(() if doomed is None else (model.live, way(doomed))))


def model(name: str, text: str, known: Mapping[str, Any], **parameters: str) -> Any:
    """`known`: other names that the text uses; `parameters`: the values of each parameter, as an expression."""
    lines = [line.strip() for line in re.sub(r"\n {8,}", " ", text).split("\n") if line.strip()]
    start, live, good = (
        next(line.removeprefix(kind) for line in lines if line.startswith(kind))
        for kind in ("start ", "live ", "good ")
    )
    lets = [line[4:].split(" = ", 1) for line in lines if line.startswith("let ")]
    variables = re.findall(r"(?:^|; )(\w+) = ", start)
    lists = re.findall(r"(\w+) = \(", start)
    unpack = f"{', '.join(variables)}, = s"
    thaw = "; ".join([unpack, *(f"{one} = [*{one}]" for one in lists)])
    state = f"State({', '.join(f'tuple({one})' if one in lists else one for one in variables)})"
    steps, broken = [f"def steps(s, on):\n {unpack}"], [f"def broken(was, s):\n {unpack}\n yield from ()"]
    code = [f"{start}\ninitial = {state}", f"def good(s):\n {unpack}\n return {_python(good, lets)}"]
    rules = [line for line in lines if not line.startswith(("start ", "live ", "good ", "let "))]
    for number, line in enumerate(rules):
        title, rule = line.split(" ? ")
        when, *changes = _python(rule, lets).split(" → ")
        if title.startswith("promise "):
            broken.append(f" if {when}: yield {title.removeprefix('promise ')!r}")
            continue
        (change,) = changes
        title = re.sub("<(.*?)>", r"{\1}", _python(title, lets)).replace('"', "'")
        used = [one for one in parameters if re.search(rf"(?<![.\w]){one}\b", f"{title} {when} {change}")]
        steps += [f"{' ' * depth}for {one} in {parameters[one]}:" for depth, one in enumerate(used, 1)]
        step = f"step{number}({', '.join(('s', 'on', *used))})"
        steps.append(f'{" " * (len(used) + 1)}if {when}: yield f"{title}", {step}')
        code.append(f"def {step}:\n {thaw}; {change}\n return {state}")
    source = "\n".join([*steps, *broken, *code])
    names = Counter(node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))
    words = {one for one in names if re.fullmatch("[a-z]+", one)} - {
        *dir(builtins),
        *variables,
        *known,
        "initial",
        "on",
        "was",
    }
    if lonely := {one for one in words if names[one] == 1}:
        raise ValueError(f"misspelled or unused: {lonely}")
    named = {**{one: one for one in words}, "State": namedtuple("State", variables), **known}
    exec(compile(source, f"the model of {name}", "exec"), named)  # noqa: S102
    return Model(name, named["initial"], named["steps"], named["broken"], named["good"], live)


def _python(piece: str, lets: list[list[str]]) -> str:
    for head, body in reversed(lets):  # a later one may use an earlier one
        name, _, formal = head.rstrip(")").partition("(")

        def filled(found: "re.Match[str]", body: str = body, formal: str = formal) -> str:
            for one, actual in zip(formal.split(", "), found[1].split(", ", formal.count(",")), strict=True):
                body = re.sub(rf"\b{one}\b", actual, body) if one else body
            return body

        piece = re.sub(rf"\b{name}\b" + (r"\(([^()]*)\)" if formal else "()"), filled, piece)
    return re.sub("«(.*?)»", r'on("\1")', piece)

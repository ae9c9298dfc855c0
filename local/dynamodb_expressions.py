"""DynamoDB's expressions, each text read once and turned into functions over items as they travel.

Understood is what a small application writes: conditions of comparisons, `attribute_exists`, `attribute_not_exists`,
`begins_with` and `size`; updates of `SET` and `REMOVE`; key conditions. Whatever else an expression holds, and whatever
the service would refuse, raises `NotUnderstood`: moto then answers, in its own words.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Value = dict[str, Any]
"""An attribute's value as it travels: `{"S": "text"}`."""
Plain = dict[str, Value]
"""An item as it travels: `{"pk": {"S": "…"}, "n": {"N": "1"}}`."""
Names = Mapping[str, str]
Values = Mapping[str, Value]
Key = str | int | Decimal
"""A key attribute's value in a form that Python compares as DynamoDB does."""


class NotUnderstood(Exception):
    """The expression, or what it meets in an item, is left to moto."""


def number_of(text: str) -> int | Decimal:
    """A number's value."""
    return int(text) if _WHOLE.fullmatch(text) else Decimal(text)


def key_of(value: Value) -> Key:
    """A key's value. Raises `NotUnderstood` for binary ones."""
    if "S" in value:
        return str(value["S"])
    if "N" in value:
        return number_of(value["N"])
    raise NotUnderstood("a key that is neither text nor number")


_WHOLE = re.compile(r"-?[0-9]+")
_TOKEN = re.compile(
    r"\s*(?:(?P<sign><>|<=|>=|[=<>(),.+-])|(?P<word>[#:][A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*)|(?P<end>$))"
)

_Condition = Callable[[Plain, Names, Values], bool]
_Operand = Callable[[Plain, Names, Values], Value | None]
_Path = tuple[str, ...]


@dataclass
class _Reader:
    """The words of one expression, and the placeholders among them."""

    words: list[str]
    names: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    at: int = 0

    @classmethod
    def of(cls, text: str) -> "_Reader":
        words, position = [], 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotUnderstood(text)
            position = match.end()
            if match["end"] is None:
                words.append(match["sign"] or match["word"])
        return cls(words)

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def next(self) -> str:
        self.at += 1
        return self.words[self.at - 1] if self.at <= len(self.words) else ""

    def takes(self, word: str) -> bool:
        """Whether `word` is next, which is then passed."""
        found = self.peek().upper() == word
        self.at += found
        return found

    def expect(self, word: str) -> None:
        if not self.takes(word):
            raise NotUnderstood(f"{word} expected")

    def path(self) -> _Path:
        """A document path without list indexes."""
        steps = [self.attribute()]
        while self.takes("."):
            steps.append(self.attribute())
        return tuple(steps)

    def attribute(self) -> str:
        word = self.next()
        if word.startswith("#"):
            self.names.add(word)
        elif not word or not (word[0].isalpha() or word[0] == "_") or word.upper() in _RESERVED:
            raise NotUnderstood("not an attribute's name")
        return word

    def value(self) -> str:
        word = self.next()
        if not word.startswith(":"):
            raise NotUnderstood("not a value's name")
        self.values.add(word)
        return word


_RESERVED = frozenset(ReservedKeywords.get_reserved_keywords())


def _resolved(path: _Path, names: Names) -> _Path:
    return tuple(names[step] if step[0] == "#" else step for step in path)


def _found(item: Plain, path: _Path) -> Value | None:
    """What is at that path; None where nothing is."""
    value = item.get(path[0])
    for step in path[1:]:
        if value is None or "M" not in value:
            return None
        value = value["M"].get(step)
    return value


def _at(path: _Path) -> _Operand:
    if len(path) == 1 and path[0][0] != "#":
        name = path[0]
        return lambda item, names, values: item.get(name)
    return lambda item, names, values: _found(item, _resolved(path, names))


def _given(name: str) -> _Operand:
    return lambda item, names, values: values[name]


# ---- what the service looks at before any item ----------------------------------------------------------------------

_BETWEEN = re.compile(r"(?<![#:.\w])BETWEEN\s*(:\w+)\s+AND\s*(:\w+)", re.IGNORECASE)
_ACTION = re.compile(r"(?:(?<![#:.\w])(?:SET|REMOVE|ADD|DELETE)\s|,)\s*([#.\w\[\]]+)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _bounds(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(_BETWEEN.findall(text))


def fault_of_bounds(text: str, values: Values) -> str | None:
    """What is wrong with the bounds of a BETWEEN, in the service's words; moto takes them as they come."""
    for low, high in _bounds(text):
        lower, upper = values.get(low), values.get(high)
        if not lower or not upper:
            continue  # moto shall say
        said = f"lower bound operand: {_shown(lower)}, upper bound operand: {_shown(upper)}"
        if lower.keys() != upper.keys():
            return f"The BETWEEN operator requires same data type for lower and upper bounds; {said}"
        try:
            is_wrong = key_of(lower) > key_of(upper)  # type: ignore[operator]  # of one kind, as seen above
        except (NotUnderstood, ArithmeticError):
            continue
        if is_wrong:
            return f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {said}"
    return None


def _shown(value: Value) -> str:
    ((kind, content),) = value.items()
    return f"AttributeValue: {{{kind}:{content}}}"


@lru_cache(maxsize=1024)
def _changed_paths(text: str) -> tuple[_Path, ...]:
    """The document paths that an update sets, removes, adds to or deletes from."""
    outside = text
    while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = shorter
    outside = re.sub(r"\s*\.\s*", ".", outside)
    return tuple(tuple(re.findall(r"#?\w+|\[\d+\]", path)) for path in _ACTION.findall(outside))


def fault_of_paths(text: str, names: Names) -> str | None:
    """What is wrong with the paths of an update, in the service's words: one is another, or leads into it."""
    paths = [tuple(names.get(step, step) for step in path) for path in _changed_paths(text)]
    for number, one in enumerate(paths):
        for other in paths[number + 1 :]:
            shared = min(len(one), len(other))
            if one[:shared] == other[:shared]:
                return (
                    "Two document paths overlap with each other; must remove or rewrite one of these paths; "
                    f"path one: [{', '.join(one)}], path two: [{', '.join(other)}]"
                )
    return None


# ---- conditions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """A condition expression. `holds` wants `{}` for an item that is not there."""

    holds: _Condition
    names: frozenset[str]
    values: frozenset[str]


@lru_cache(maxsize=1024)
def _condition(text: str) -> Condition | None:
    try:
        reader = _Reader.of(text)
        holds = _either(reader)
        if reader.peek():
            raise NotUnderstood(text)
    except NotUnderstood:
        return None
    return Condition(holds, frozenset(reader.names), frozenset(reader.values))


def condition(text: str) -> Condition:
    """The condition that `text` says. Raises `NotUnderstood`."""
    if (understood := _condition(text)) is None:
        raise NotUnderstood(text)
    return understood


def _either(reader: _Reader) -> _Condition:
    left = _both(reader)
    while reader.takes("OR"):
        left = _or(left, _both(reader))
    return left


def _both(reader: _Reader) -> _Condition:
    left = _not(reader)
    while reader.takes("AND"):
        left = _and(left, _not(reader))
    return left


def _or(left: _Condition, right: _Condition) -> _Condition:
    return lambda item, names, values: left(item, names, values) or right(item, names, values)


def _and(left: _Condition, right: _Condition) -> _Condition:
    return lambda item, names, values: left(item, names, values) and right(item, names, values)


def _not(reader: _Reader) -> _Condition:
    if reader.takes("NOT"):
        inner = _not(reader)
        return lambda item, names, values: not inner(item, names, values)
    if reader.takes("("):
        inner = _either(reader)
        reader.expect(")")
        return inner
    return _simple(reader)


def _simple(reader: _Reader) -> _Condition:
    function = reader.peek()
    if function in ("attribute_exists", "attribute_not_exists", "begins_with"):
        reader.next()
        reader.expect("(")
        at = _at(reader.path())
        start = None
        if function == "begins_with":
            reader.expect(",")
            start = _given(reader.value())
        reader.expect(")")
        if start is not None:
            return _begins_with(at, start)
        if function == "attribute_exists":
            return lambda item, names, values: at(item, names, values) is not None
        return lambda item, names, values: at(item, names, values) is None
    left = _operand(reader)
    sign = reader.next()
    compare = _COMPARISONS.get(sign)
    if compare is None:
        raise NotUnderstood("not a comparison")
    right = _operand(reader)
    return lambda item, names, values: compare(left(item, names, values), right(item, names, values))


def _operand(reader: _Reader) -> _Operand:
    if reader.peek().startswith(":"):
        return _given(reader.value())
    if reader.peek() != "size":
        return _at(reader.path())
    reader.next()
    reader.expect("(")
    at = _at(reader.path())
    reader.expect(")")

    def size(item: Plain, names: Names, values: Values) -> Value:
        value = at(item, names, values)
        kind = next(iter(value)) if value is not None else None
        if value is None or kind not in ("S", "L", "M", "SS", "NS"):
            raise NotUnderstood("no size")
        return {"N": str(len(value[kind]))}

    return size


def _begins_with(at: _Operand, start: _Operand) -> _Condition:
    def holds(item: Plain, names: Names, values: Values) -> bool:
        value, wanted = at(item, names, values), start(item, names, values)
        return value is not None and wanted is not None and _texts(value, wanted) and value["S"].startswith(wanted["S"])

    return holds


def _texts(*values: Value) -> bool:
    return all("S" in value for value in values)


def _equal(left: Value | None, right: Value | None) -> bool:
    """As DynamoDB compares, numbers by their value; nothing equals an attribute that is not there."""
    if left is None or right is None:
        return False
    return left == right or (next(iter(left)) == next(iter(right)) and _comparable(left) == _comparable(right))


def _comparable(value: Value) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return number_of(content)
        case "SS" | "BS":
            return kind, frozenset(content)
        case "NS":
            return kind, frozenset(map(number_of, content))
        case "L":
            return [_comparable(element) for element in content]
        case "M":
            return {name: _comparable(element) for name, element in content.items()}
    return kind, content


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Value | None, Value | None], bool]:
    def compare(left: Value | None, right: Value | None) -> bool:
        if left is None or right is None:
            return False
        if "N" in left and "N" in right:
            return holds(number_of(left["N"]), number_of(right["N"]))
        if _texts(left, right):
            return holds(left["S"], right["S"])
        raise NotUnderstood("no order")

    return compare


def _unequal(left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        raise NotUnderstood("unequal to nothing")
    return not _equal(left, right)


_COMPARISONS: dict[str, Callable[[Value | None, Value | None], bool]] = {
    "=": _equal,
    "<>": _unequal,
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
}


# ---- updates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """An update expression: what is set where, and what is removed."""

    sets: tuple[tuple[_Path, _Operand], ...]
    removes: tuple[_Path, ...]
    names: frozenset[str]
    values: frozenset[str]

    def applied(self, item: Plain | None, key: Plain, names: Names, values: Values) -> tuple[Plain, set[str]]:
        """A changed copy of `item`, or a new one of that key; and the top-level attributes that were set or removed.

        Whatever an operand refers to is what it was before the update. Raises `NotUnderstood`.
        """
        before = item if item is not None else {}
        sets = [(_resolved(path, names), operand(before, names, values)) for path, operand in self.sets]
        removes = [_resolved(path, names) for path in self.removes]
        changed = dict(before or key)
        for path, value in sets:
            if value is None:
                raise NotUnderstood("set to an attribute that is not there")
            _parent(changed, path)[path[-1]] = value
        for path in removes:
            _parent(changed, path).pop(path[-1], None)
        return changed, {path[0] for path in (*(path for path, _ in sets), *removes)}


def _parent(changed: Plain, path: _Path) -> dict[str, Value]:
    """The map that holds the last step of `path`, copied together with those above it."""
    parent = changed
    for step in path[:-1]:
        above = parent.get(step)
        if above is None or "M" not in above:
            raise NotUnderstood("no such path")
        copied = dict(above["M"])
        parent[step] = {"M": copied}
        parent = copied
    return parent


@lru_cache(maxsize=1024)
def _update(text: str) -> Update | None:
    sets: list[tuple[_Path, _Operand]] = []
    removes: list[_Path] = []
    clauses = set()
    try:
        reader = _Reader.of(text)
        while clause := reader.next().upper():
            if clause in clauses or clause not in ("SET", "REMOVE"):
                raise NotUnderstood(text)
            clauses.add(clause)
            while True:
                path = reader.path()
                if clause == "SET":
                    reader.expect("=")
                    sets.append((path, _sum(reader)))
                else:
                    removes.append(path)
                if not reader.takes(","):
                    break
    except NotUnderstood:
        return None
    return Update(tuple(sets), tuple(removes), frozenset(reader.names), frozenset(reader.values))


def update(text: str) -> Update:
    """The update that `text` says. Raises `NotUnderstood`."""
    if (understood := _update(text)) is None:
        raise NotUnderstood(text)
    return understood


def _sum(reader: _Reader) -> _Operand:
    left = _term(reader)
    sign = reader.peek()
    if sign not in ("+", "-"):
        return left
    reader.next()
    right, factor = _term(reader), 1 if sign == "+" else -1

    def total(item: Plain, names: Names, values: Values) -> Value:
        first, second = (
            number.get("N", "") for number in (left(item, names, values) or {}, right(item, names, values) or {})
        )
        if not (_WHOLE.fullmatch(first) and _WHOLE.fullmatch(second)):
            raise NotUnderstood("not two whole numbers")
        return {"N": str(int(first) + factor * int(second))}

    return total


def _term(reader: _Reader) -> _Operand:
    word = reader.peek()
    if word.startswith(":"):
        return _given(reader.value())
    if word not in ("if_not_exists", "list_append"):
        return _at(reader.path())
    reader.next()
    reader.expect("(")
    left = _at(reader.path()) if word == "if_not_exists" else _term(reader)
    reader.expect(",")
    right = _term(reader)
    reader.expect(")")
    if word == "if_not_exists":

        def default(item: Plain, names: Names, values: Values) -> Value | None:
            value = left(item, names, values)
            return right(item, names, values) if value is None else value

        return default

    def appended(item: Plain, names: Names, values: Values) -> Value:
        first, second = left(item, names, values), right(item, names, values)
        if first is None or second is None or "L" not in first or "L" not in second:
            raise NotUnderstood("not two lists")
        return {"L": [*first["L"], *second["L"]]}

    return appended


# ---- key conditions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """Which sort keys a query wants: from `low` to `high`, each of them wanted itself or not; None: no bound."""

    low: Key | None = None
    with_low: bool = True
    high: Key | None = None
    with_high: bool = True
    start: str | None = None
    """What the sort keys begin with."""


@dataclass(frozen=True)
class KeyCondition:
    """Equality of one attribute and, maybe, a comparison of another: (path, comparison, names of its values)."""

    terms: tuple[tuple[str, str, tuple[str, ...]], ...]
    names: frozenset[str]
    values: frozenset[str]

    def wanted(self, partition: str, order: str | None, names: Names, values: Values) -> tuple[Value, Range]:
        """The partition's value and the range, for keys of these attributes. Raises `NotUnderstood`."""
        terms = {_resolved((path,), names)[0]: (sign, given) for path, sign, given in self.terms}
        if len(terms) != len(self.terms) or not terms.keys() <= {partition, order} or partition not in terms:
            raise NotUnderstood("not the keys of this table or index")
        sign, given = terms[partition]
        if sign != "=":
            raise NotUnderstood("a partition is one value")
        hash_value = values[given[0]]
        if len(terms) == 1 or order is None:
            return hash_value, Range()
        sign, given = terms[order]
        keys = [key_of(values[name]) for name in given]
        kinds = {isinstance(key, str) for key in keys}
        if len(kinds) > 1:
            raise NotUnderstood("bounds of two kinds")
        match sign:
            case "begins_with":
                if not isinstance(keys[0], str):
                    raise NotUnderstood("a number begins with nothing")
                return hash_value, Range(low=keys[0], start=keys[0])
            case "BETWEEN":
                return hash_value, Range(low=keys[0], high=keys[1])
            case "=":
                return hash_value, Range(low=keys[0], high=keys[0])
            case "<" | "<=":
                return hash_value, Range(high=keys[0], with_high=sign == "<=")
        return hash_value, Range(low=keys[0], with_low=sign == ">=")


@lru_cache(maxsize=256)
def _key_condition(text: str) -> KeyCondition | None:
    terms: list[tuple[str, str, tuple[str, ...]]] = []
    try:
        reader = _Reader.of(text)
        while True:
            terms.append(_key_term(reader))
            if not reader.takes("AND"):
                break
        if reader.peek() or len(terms) > 2:
            raise NotUnderstood(text)
    except NotUnderstood:
        return None
    return KeyCondition(tuple(terms), frozenset(reader.names), frozenset(reader.values))


def key_condition(text: str) -> KeyCondition:
    """The key condition that `text` says. Raises `NotUnderstood`."""
    if (understood := _key_condition(text)) is None:
        raise NotUnderstood(text)
    return understood


def _key_term(reader: _Reader) -> tuple[str, str, tuple[str, ...]]:
    if reader.peek() == "begins_with":
        reader.next()
        reader.expect("(")
        name = reader.attribute()
        reader.expect(",")
        value = reader.value()
        reader.expect(")")
        return name, "begins_with", (value,)
    name = reader.attribute()
    if reader.takes("BETWEEN"):
        low = reader.value()
        reader.expect("AND")
        return name, "BETWEEN", (low, reader.value())
    sign = reader.next()
    if sign not in ("=", "<", "<=", ">", ">="):
        raise NotUnderstood("not a comparison of keys")
    return name, sign, (reader.value(),)

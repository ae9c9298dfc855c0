"""moto's conditions and updates without unnecessary work. Results and errors stay the same.

moto parses the text of each expression twice a request, and searches and copies the tree of an update ten times. Here a
text is parsed once, and checks that depend only on the text and its names run once.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

# moto's modules have names without exporting them.
from moto.dynamodb.parsing.ast_nodes import (  # type: ignore[attr-defined]
    DepthFirstTraverser,
    Expression,
    Node,
    UpdateExpressionFunction,
)
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]
from moto.dynamodb.parsing.validators import (
    ActionCountValidator,
    OverlappingPathsValidator,
    UpdateHashRangeKeyValidator,
    Validator,
)

_parse_condition: Callable[..., Any] = ConditionExpressionParser.parse
_make_operand: Callable[..., Any] = ConditionExpressionParser._make_operand
_parse_update: Callable[..., Any] = UpdateExpressionParser.make

Names = tuple[tuple[str, str], ...] | None
"""An expression's names, each with the attribute name for which it is a placeholder; None if none are given."""

# ---- conditions -----------------------------------------------------------------------------------------------------


class _Reader(ConditionExpressionParser):
    """Reads the tree of a condition without changing it."""

    def _make_op_condition(self, node: Any) -> Any:
        return node


@lru_cache(maxsize=4096)
def _condition(text: str, names: Names, values: tuple[str, ...] | None) -> tuple[Any, list[str], list[str]]:
    """The tree of a condition, and the names and values that it uses. Raises moto's errors."""
    reader = _Reader(
        text, None if names is None else dict(names), None if values is None else {name: {"S": name} for name in values}
    )
    return _parse_condition(reader), reader.expr_attr_names_found, reader.expr_attr_values_found


def _parse_condition_once(self: ConditionExpressionParser) -> Any:
    if not self.condition_expression or isinstance(self, _Reader):
        return _parse_condition(self)
    names, values = self.expression_attribute_names, self.expression_attribute_values
    node, names_found, values_found = _condition(
        self.condition_expression,
        None if names is None else tuple(names.items()),
        None if values is None else tuple(values),
    )
    self.expr_attr_names_found += names_found
    self.expr_attr_values_found += values_found
    return self._make_op_condition(node)


def _operand(self: ConditionExpressionParser, node: Any) -> Any:
    """An operand with the value of this request, not that of the first request with the same text."""
    if node.kind == self.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        assert self.expression_attribute_values is not None
        return AttributeValue(self.expression_attribute_values[node.text])
    return _make_operand(self, node)


# ---- updates --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _update(text: str) -> Any:
    return _parse_update(text)


@lru_cache(maxsize=4096)
def _check_form(update: Node, names: Names, keys: tuple[str, ...]) -> None:
    """Run moto's first checks, which depend on no value and no item. Raises moto's errors."""
    given = None if names is None else dict(names)
    checks: list[Any] = [
        ActionCountValidator(),
        OverlappingPathsValidator(given),  # type: ignore[arg-type]  # moto calls it with None, too
        UpdateHashRangeKeyValidator(list(keys), given or {}),
    ]
    for check in checks:
        check.traverse(update)


_OF_THE_FORM = (ActionCountValidator, OverlappingPathsValidator, UpdateHashRangeKeyValidator)


def _prepare(
    self: Validator,
    expression: Node,
    expression_attribute_names: dict[str, str] | None,
    expression_attribute_values: Any,
    item: Item,
    table: Table,
) -> None:
    names = None if expression_attribute_names is None else tuple(expression_attribute_names.items())
    _check_form(expression, names, tuple(table.table_key_attrs))
    self.__dict__.update(
        expression_attribute_names=expression_attribute_names,
        expression_attribute_values=expression_attribute_values,
        item=item,
        table=table,
    )
    self.processors = [one for one in self.get_ast_processors() if not isinstance(one, _OF_THE_FORM)]
    self.node_to_validate = _copied(expression)


def _copied(node: Node) -> Node:
    """A copy of a tree whose leaves are texts and numbers."""
    copied = object.__new__(type(node))
    copied.__dict__.update(node.__dict__)
    if node.children is not None:
        copied.children = [_copied(child) if _is_node(type(child)) else child for child in node.children]
        for child in copied.children:
            if _is_node(type(child)):
                child.parent = copied
    return copied


def _traverse(self: DepthFirstTraverser, root: Node) -> Any:
    """Traverse a tree. moto builds the list of searched classes again at each node."""
    processors = self._processing_map()
    kinds = tuple(processors)

    def visit(node: Node, child_id: int) -> Any:
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, number)
            if _is_node(type(child)):
                visit(child, number)
        kind = _first(type(node), kinds)
        if kind is not None:
            node = processors[kind](node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(root, -1)


def _find_clauses(self: Node, clause_types: list[type]) -> list[Node]:
    found: list[Node] = []
    for child in self.children or ():
        if type(child) in clause_types:
            found.append(child)
        elif _first(type(child), _WITH_CLAUSES) is not None:
            found += _find_clauses(child, clause_types)
    return found


_WITH_CLAUSES = (Expression, UpdateExpressionFunction)


def _search(kind: type, kinds: tuple[type, ...]) -> type | None:
    """The first of some classes of which `kind` is a subclass."""
    return next((one for one in kinds if issubclass(kind, one)), None)


_first: Callable[[Any, tuple[type, ...]], type | None] = cache(_search)
_is_node: Callable[[Any], bool] = cache(lambda kind: issubclass(kind, Node))


# ---- items ----------------------------------------------------------------------------------------------------------


def _copied_value(value: DynamoType) -> DynamoType:
    copied = object.__new__(DynamoType)
    copied.type = value.type
    match value.type:
        case "L":
            copied.value = [_copied_value(element) for element in value.value]
        case "M":
            copied.value = {name: _copied_value(element) for name, element in value.value.items()}
        case "SS" | "NS" | "BS":
            copied.value = list(value.value)
        case _:
            copied.value = value.value
    return copied


def _copied_item(item: Item) -> Item:
    copied: Item = object.__new__(Item)
    copied.hash_key, copied.range_key, copied.attrs = item.hash_key, item.range_key, LimitedSizeDict()
    dict.update(copied.attrs, {name: _copied_value(value) for name, value in item.attrs.items()})
    return copied


REPLACED: dict[tuple[Any, str], Callable[..., Any]] = {
    (ConditionExpressionParser, "parse"): _parse_condition_once,
    (ConditionExpressionParser, "_make_operand"): _operand,
    (UpdateExpressionParser, "make"): staticmethod(_update),
    (Validator, "__init__"): _prepare,
    (DepthFirstTraverser, "traverse"): _traverse,
    (Node, "find_clauses"): _find_clauses,
    # moto's copies record each value, to support values that contain themselves.
    (DynamoType, "__deepcopy__"): lambda self, memo: _copied_value(self),
    (Item, "__deepcopy__"): lambda self, memo: _copied_item(self),
}
"""The functions that replace moto's own while the stack runs, by owner and name."""

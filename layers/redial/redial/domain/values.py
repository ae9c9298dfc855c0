"""`dataclass` for classes that most cold starts define: like the standard library's, in half the time.

The standard library compiles every method of every class, which took a tenth of a cold start. Here only `__init__` and
the methods of a frozen class are compiled; `__eq__`, `__hash__` and `__repr__` are closures with the same results.
"""

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, *, frozen: bool = False) -> Any:
        """Like `dataclasses.dataclass`, for a class with at least one field."""
        if cls is None:
            return lambda decorated: dataclass(decorated, frozen=frozen)
        made = dataclasses.dataclass(cls, frozen=frozen, eq=False, repr=False)
        fields = dataclasses.fields(made)
        values = attrgetter(*(field.name for field in fields if field.compare))
        shown = [field.name for field in fields if field.repr]

        def equals(self: Any, other: object) -> bool:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def hashed(self: Any) -> int:
            return hash(values(self))

        def shown_as(self: Any) -> str:
            return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        made.__eq__, made.__hash__, made.__repr__ = equals, hashed if frozen else None, shown_as
        return made

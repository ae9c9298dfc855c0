"""A goal for a cost, a size or a speed, with its measurement, and the reason if it is missed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """`most`: the highest value that meets it. `reason`: why it is missed, or how it was measured. `exact`: the value
    is equal in every run."""

    name: str
    most: float
    value: float
    reason: str = ""
    exact: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.most

    def row(self) -> list[object]:
        return [self.name, f"{self.most:,g}", f"{self.value:,.3g}", "met" if self.met else "**missed**", self.reason]

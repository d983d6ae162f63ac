"""Whether an amount follows from amounts that were seen, by the arithmetic of bills.

The law: generous. Only what no simple calculation from seen numbers explains may be called made up, and where so many
numbers were seen that nearly every amount is a sum of some, nothing is said.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from evaluators.views.literals import UNITS

NUMBERS_MAX: Final = 96  # distinct numbers seen; with more, some sum hits nearly every amount by chance
NUMBERS_OF_THREE_MAX: Final = 40  # up to so many, sums of three are tried too
PARTS_MAX: Final = 9  # equal parts or items: travellers, nights, instalments
_CENT: Final = UNITS // 100


def is_derived(amount: int, numbers: AbstractSet[int]) -> bool:
    """Whether an amount is calculated from these numbers, or there are too many numbers to tell.

    It is a sum or difference of two or three of them, one of them or such a sum times or by 2 to 9, quantity times
    price, a number of per cent of a price taken, put on or off; all that in cents too.
    """
    if len(numbers) > NUMBERS_MAX:
        return True
    values = [number for number in numbers if number]
    if amount * 100 in numbers or any(amount * parts in numbers for parts in range(2, PARTS_MAX + 1)):
        return True
    shares = [amount // by for by in (1, 100, *range(2, PARTS_MAX + 1)) if amount % (by * _CENT) == 0]
    if any(_is_sum(share, values, numbers) for share in (shares or [amount])):
        return True
    return _is_product(amount, values, numbers) or _is_sum_of_three(amount, values, numbers)


def _is_sum(amount: int, values: list[int], numbers: AbstractSet[int]) -> bool:
    if amount in numbers:
        return True
    differences = [amount - value for value in values]
    return not (numbers.isdisjoint(differences) and numbers.isdisjoint([amount + value for value in values]))


def _is_product(amount: int, values: list[int], numbers: AbstractSet[int]) -> bool:
    """Quantity times price, price by quantity; per cent of a price, to the cent."""
    if not numbers.isdisjoint([amount * UNITS // value for value in values if amount * UNITS % value == 0]):
        return True
    if not numbers.isdisjoint([amount * value // UNITS for value in values]):
        return True
    rates = [value for value in values if value <= 100 * UNITS]
    whole = 100 * UNITS
    prices = [
        round(amount * whole / rate / _CENT) * _CENT
        for rates_of in (rates, [whole - rate for rate in rates if rate < whole], [whole + rate for rate in rates])
        for rate in rates_of
    ]
    return not numbers.isdisjoint(prices)


def _is_sum_of_three(amount: int, values: list[int], numbers: AbstractSet[int]) -> bool:
    if len(values) > NUMBERS_OF_THREE_MAX:
        return False
    pairs = [(a + b, a - b) for place, a in enumerate(values) for b in values[place:]]
    left = [rest for total, gap in pairs for rest in (amount - total, amount + total, amount - gap, amount + gap)]
    return not numbers.isdisjoint(left)

"""Generators of random Lua programs: one per area, each a function of a `Dice`.

A generator returns the text of one program. Programs are run in a fresh
environment by `prelude.lua`, print what they compute (`P`) and the messages of
what fails (`E`, `L`), one statement a line so that a line is what the shrinker
can take away first. They print no addresses, no order of `pairs`, nothing that
depends on the collector, and they end.
"""
from . import calls, control, errors, libraries, mixed, numbers, strings, syntax

GENERATORS = {}
for _module in (numbers, strings, libraries, calls, control, errors, syntax, mixed):
    GENERATORS.update(_module.GENERATORS)

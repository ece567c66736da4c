"""Nicknames of Freight, such as `wise-otter` (Kargo: pkg/webhook/kubernetes/freight).

The words are part of what workflows replay: append to the lists only behind a patch.
"""

from __future__ import annotations

from collections.abc import Container
from random import Random

_ADJECTIVES = (  # noqa: SIM905 - a list literal would have a line for each word
    "able agile amber apt azure blithe bold brave bright brisk calm candid careful cheery clever cobalt cool coral "
    "cosy crisp daring deft eager early earnest easy elder fair fancy fleet fond frank free fresh frosty gentle glad "
    "golden grand green handy happy hardy hasty honest humble ideal jolly keen kind lasting lean light lively lofty "
    "loyal lucid lucky mellow merry mighty mild modest neat nimble noble novel open patient placid plain plucky "
    "polite prime proud quick quiet ready regal rosy royal ruby rustic sage sharp silent silver sleek smart snug "
    "solid spry stable steady still stout sturdy sunny sure swift tame teal thrifty tidy tranquil trim true upbeat "
    "urban vast velvet vivid warm wary wild willing wise witty young zesty"
).split()

_ANIMALS = (  # noqa: SIM905 - as above
    "adder alpaca ant antelope badger bat bear beaver bee beetle bison bittern boar buffalo camel caribou carp cat "
    "chamois cheetah cod condor cormorant cougar coyote crab crane cricket crow cuckoo curlew deer dingo dolphin "
    "donkey dove duck eagle eel egret eland elk emu falcon ferret finch fox frog gannet gazelle gecko gibbon goat "
    "goose gopher grebe grouse gull hamster hare hawk hedgehog heron herring horse hound ibex ibis jackal jackdaw "
    "jaguar jay kestrel kingfisher kite koala lark lemming lemur leopard lion lizard llama lobster lynx magpie mallard "
    "marmot marten mink mole moorhen moose moth mouse mule newt ocelot octopus orca osprey otter owl ox panda panther "
    "parrot pelican perch pheasant pigeon pike plover pony puffin puma quail rabbit raven robin salmon seal shrew "
    "skylark sloth snail sparrow squid squirrel starling stoat stork swallow swan swift tapir teal tern thrush tiger "
    "toad trout turtle viper vole wagtail walrus weasel whale wolf wombat wren yak zebra"
).split()


def new_alias(random: Random, taken: Container[str]) -> str:
    """A nickname that isn't in `taken`: an adjective and an animal. The same for the same state of `random`."""
    for _ in range(64):
        alias = f"{_choice(random, _ADJECTIVES)}-{_choice(random, _ANIMALS)}"
        if alias not in taken:
            return alias
    # So many are taken that a number has to tell them apart.
    number = 2
    while f"{alias}-{number}" in taken:
        number += 1
    return f"{alias}-{number}"


def _choice(random: Random, words: list[str]) -> str:
    # Only random() is promised to give the same numbers in all versions of Python.
    return words[int(random.random() * len(words))]

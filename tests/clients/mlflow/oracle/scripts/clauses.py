"""A filter's words, of the clauses that a search has."""


def clauses(dice, clause, breaks) -> list[str]:
    """One to three clauses, joined; one in six is broken by a word that does not belong there."""
    words = clause(dice)
    for _ in range(dice.choice([0, 0, 1, 2])):
        words += [dice.choice(["AND", "and"]), *clause(dice)]
    if dice.random() < 0.17:
        at = dice.randrange(len(words))
        words[at : at + dice.randint(0, 1)] = [dice.choice(breaks)]
    return words

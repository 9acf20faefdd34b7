"""How often, how many at once and for how much: rates, concurrent runs, budgets, and what was used."""

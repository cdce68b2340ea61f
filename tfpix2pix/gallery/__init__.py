"""The gallery: a split's pairs with what several runs make of them, and the scores of each.

`judged` makes a run's pictures and scores and keeps them; `making` is the page and its data.
"""

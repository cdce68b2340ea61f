"""Training algorithms: each is networks, what they minimise, and the order of their updates.

The training loop, inference and export know no more of one than `base.Algorithm` says;
`registry` finds it by its name.
"""

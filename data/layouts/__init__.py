"""How pairs are kept in folders: one module per layout lists them; `opening` picks it."""

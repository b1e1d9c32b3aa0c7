"""How a reply comes about: the engine, its worker, and what crosses between threads."""

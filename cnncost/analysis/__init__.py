"""Walks over a graph: what layers cost, what they see, how rows fold. Nothing is printed or formatted here."""

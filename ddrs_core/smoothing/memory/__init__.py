"""The rules of the memory, collisions, and counterexamples."""

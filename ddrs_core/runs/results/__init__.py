"""Results of runs: summaries, comparisons, tables."""

"""How fast, how small: measured beside what one would compare it with, in one run, as ratios."""

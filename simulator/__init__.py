"""The users a laptop does not have: a social app whose tastes are known, so that what a model learned can be checked."""

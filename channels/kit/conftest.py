"""The skeleton in `src` has tests of its own; they run in the packages written from it."""

collect_ignore = ["src"]

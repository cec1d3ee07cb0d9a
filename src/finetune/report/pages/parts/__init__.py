"""Parts of a page that show a study as a whole: its axes, factorials, ladders and searches."""

"""The report of a study: a page, a terminal view, Markdown."""

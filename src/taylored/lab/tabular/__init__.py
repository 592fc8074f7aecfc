"""Results as tables for other programs: data frames, Markdown, LaTeX."""

"""The folded sections of the report: what each of them says, before it is laid out."""

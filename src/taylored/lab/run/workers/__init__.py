"""Worker processes: who is asked, how each trial is kept apart, and who notices the end of one."""

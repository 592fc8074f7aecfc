"""The statistics of a comparison for scores of any trainer."""

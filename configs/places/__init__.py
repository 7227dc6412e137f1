"""Location encoders on a table of labelled places."""

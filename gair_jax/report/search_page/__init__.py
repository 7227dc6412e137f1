"""What `gair search` found, as one page that works offline, and as a table."""

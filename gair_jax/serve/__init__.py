"""What the user of a checkpoint calls: load, embed, query, map, search."""

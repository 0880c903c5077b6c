"""Models that `claver export` wrote: what is in their folders, and how they run without their weights."""

"""The index of what people wrote: how texts are cut into passages, and how the index follows the record of changes."""

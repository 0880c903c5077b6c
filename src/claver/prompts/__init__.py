"""The text side: lists of actions, templates, and the text bank (encode once, query often)."""

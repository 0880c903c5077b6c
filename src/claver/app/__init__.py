"""The web page of `claver app`: recognition, time lines, search and live answers for people who use no terminal.

`service` does the work and knows nothing of pages, `gate` guards the door, `page` and the tabs beside it draw.
"""

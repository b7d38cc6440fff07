"""What others build on: the events' document, the golden events, and what a change breaks for those who hold to them.

`./dev docs` writes them, and refuses what would break whoever reads an event or calls the API.
"""

"""The audit: from each service's own event log and rows, is every session and every cent there, and said alike by all?

`folding` says which rows the facts must have left, `laws` what must hold beside that; neither reads anything.
"""

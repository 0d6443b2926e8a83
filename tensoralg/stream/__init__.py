"""Streams: from a causally masked sum to a state, its update, and the merge of segments."""

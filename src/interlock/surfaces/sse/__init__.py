"""The live feed: what the journal tells, to whoever reads it over HTTP as server-sent events.

One reader of the feed for each tenant that is listened to (`hub`), one stream for each connection (`reader`).
"""

"""HTTP as a script sees it: what `requests` would send, encoded for Weir's engine.

Nothing here opens a socket. A request is encoded into one frame, the engine
sends and times it, and the answer is unpacked when the script looks at it.
"""

"""What stands behind the names of Locust: the channel to Weir's engine, and three ways to hold many users in one interpreter.

Nothing in here is for scripts. The way in is boot.main; engine.engine is what the rest of the package talks to.
"""

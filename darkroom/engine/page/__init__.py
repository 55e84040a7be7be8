"""The page's own port: the stack's API under one origin, as API Gateway serves it on AWS.

guard    who may speak to it: its own page, tools on this machine, and links to the page
server   passes requests on to the engine's API Gateway

The embedded engine's gateway runs it in its own process; for other engines it is a part of its own
(``python -m darkroom.engine.page``).
"""

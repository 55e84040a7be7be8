"""A local AWS Lambda runtime for the embedded engine.

    engine ──POST /events──▶ server ──▶ asynchronous (durable queue, retries) ──▶ pool ──▶ workers
    gateway ─POST /invocations─▶  │                                                │   (awslambdaric)
                                  └──────────── synchronous ───────────────────────┘

It stands alone: nothing else of darkroom is imported here, and a function never sees this package.
Run it with ``python -m darkroom.runtime``.
"""

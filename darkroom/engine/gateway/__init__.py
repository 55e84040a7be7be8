"""The one door to the local AWS: guards it, serves what the engine lacks, streams the rest through.

Run by ``python -m darkroom.engine.gateway``. For each request, in this order:

1. `guard`: is the caller a tool on this machine, and no web page? Are the keys not root's?
2. Rekognition and Lambda's Invoke, which the engine does not serve well, are answered here: `sigv4` checks the
   signature, `permissions` asks the engine's IAM, then the local Rekognition or the runtime answers.
3. Everything else goes to the engine as it came (`upstream`), which checks signature and policy itself.

What hands out keys is read on its way through, so that their signatures can be checked later (`keyring`).
"""

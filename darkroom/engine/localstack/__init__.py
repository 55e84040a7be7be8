"""LocalStack in containers as the engine: Docker checks, Compose, and the parts that stay on the host.

docker      what is wrong with the Docker Engine, in words, before Compose meets it; images with progress
compose     `docker compose` with this environment's names and ports
engine      the engine: containers by Compose, sync and keeper by our supervisor on the host
api         what a reload asks of Lambda
"""

from darkroom.engine.localstack.engine import LocalStackEngine

__all__ = ["LocalStackEngine"]

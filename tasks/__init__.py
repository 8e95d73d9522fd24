"""The Celery app, its messages, and what lives in the broker: claims, the register of workers, hints."""

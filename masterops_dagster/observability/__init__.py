"""What the platform says about itself: logs and request telemetry."""

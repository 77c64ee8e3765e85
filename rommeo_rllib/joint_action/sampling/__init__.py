"""From environments to joint steps: env runners, the fast path, the border to environments."""

"""Trained policies put to use without a running Ray: acting, matches, export."""

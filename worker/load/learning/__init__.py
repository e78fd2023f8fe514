"""Learns from the nodes that ran how long others will take on this machine."""

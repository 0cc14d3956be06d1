"""Deployment, ReplicaSet, Service endpoints, scheduling and garbage collection."""

"""Skeleton as a channel."""

from channel_skeleton.channel import SkeletonChannel
from channel_skeleton.config import SkeletonConfig

__all__ = ["SkeletonChannel", "SkeletonConfig"]

"""Where a node learns that it will be taken away: Azure, AWS, GCP, a file, a signal."""

from worker.notices.metadata import Cloud, Pace
from worker.notices.notice import Notice, NoticeKind, NoticeSource, signal_notice
from worker.notices.watcher import NoticeWatcher, open_watcher

__all__ = ["Cloud", "Notice", "NoticeKind", "NoticeSource", "NoticeWatcher", "Pace", "open_watcher", "signal_notice"]

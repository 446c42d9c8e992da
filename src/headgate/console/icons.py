"""The icons: strokes on a square of 24, drawn for this console."""

__all__ = ["ICONS"]

ICONS = {
    "overview": '<path d="M4 11.5 12 5l8 6.5V20h-5.5v-5h-5v5H4z"/>',
    "sources": '<path d="M9 3v5M15 3v5M7 8h10v3.5a5 5 0 0 1-10 0zM12 16.5V21"/>',
    "connections": '<path d="M10 14a4 4 0 0 0 6 .4l2.6-2.6a4 4 0 0 0-5.7-5.7L11.6 7.4"/>'
    '<path d="M14 10a4 4 0 0 0-6-.4l-2.6 2.6a4 4 0 0 0 5.7 5.7l1.3-1.3"/>',
    "flows": '<path d="M3 8c3-3 6-3 9 0s6 3 9 0M3 15c3-3 6-3 9 0s6 3 9 0"/>',
    "runs": '<path d="M7 5l11 7-11 7z"/>',
    "datasets": '<path d="M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6"/>'
    '<path d="M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3"/>',
    "workers": '<path d="M5 7h14v10H5zM9 7V4M15 7V4M9 20v-3M15 20v-3M5 10H2M5 14H2M22 10h-3M22 14h-3"/>',
    "people": '<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.6-3.6 3-5.5 6.5-5.5s5.9 1.9 6.5 5.5"/>'
    '<path d="M15.5 4.8a3.5 3.5 0 0 1 0 6.4M17.5 14.9c2.2.7 3.6 2.4 4 5.1"/>',
    "audit": '<path d="M6 3h9l4 4v14H6zM15 3v4h4M9.5 12h6M9.5 16h6"/>',
    "sandbox": '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9"/>',
    "person": '<circle cx="12" cy="8" r="4"/><path d="M4 21c.8-4 3.6-6 8-6s7.2 2 8 6"/>',
    "menu": '<path d="M4 7h16M4 12h16M4 17h16"/>',
    "down": '<path d="M6 9.5l6 6 6-6"/>',
    "next": '<path d="M9 6l6 6-6 6"/>',
    "search": '<circle cx="11" cy="11" r="6.5"/><path d="M16 16l5 5"/>',
    "add": '<path d="M12 5v14M5 12h14"/>',
    "copy": '<path d="M9 9h11v11H9zM5 15H4V4h11v1"/>',
    "sun": '<circle cx="12" cy="12" r="4"/>'
    '<path d="M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2"/>',
    "moon": '<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z"/>',
    "system": '<circle cx="12" cy="12" r="8.5"/><path d="M12 3.5v17M12 8h7.5M12 12h8.5M12 16h7.5"/>',
    "success": '<circle cx="12" cy="12" r="9"/><path d="M8 12.5l2.8 2.8L16 9.5"/>',
    "failed": '<circle cx="12" cy="12" r="9"/><path d="M9 9l6 6M15 9l-6 6"/>',
    "cancelled": '<circle cx="12" cy="12" r="9"/><path d="M8 12h8"/>',
    "inProgress": '<path d="M12 3a9 9 0 1 0 9 9"/><path d="M12 7v5l3 2"/>',
    "queued": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>',
    "scheduled": '<path d="M4 6h16v14H4zM4 10h16M8 3v4M16 3v4"/>',
    "enabled": '<circle cx="12" cy="12" r="9"/><path d="M8 12.5l2.8 2.8L16 9.5"/>',
    "disabled": '<circle cx="12" cy="12" r="9"/><path d="M10 9v6M14 9v6"/>',
    "draft": '<path d="M5 19l1-4L16 5l3 3L9 18z"/>',
    "warning": '<path d="M12 4l9 16H3zM12 10v4M12 17v.5"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 7.5v.5"/>',
    "pause": '<path d="M9 6v12M15 6v12"/>',
    "external": '<path d="M14 4h6v6M20 4l-9 9M17 13v7H4V7h7"/>',
}

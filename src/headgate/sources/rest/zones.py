"""Time zones by any name that vendors give them: those of the IANA database, and those of Windows."""

from zoneinfo import ZoneInfo, available_timezones

from headgate.errors import BadParameter

__all__ = ["zone_named"]

# Windows' names, without "Standard Time", of the zones that people choose, from the Unicode CLDR.
_WINDOWS = {
    "Dateline": "Etc/GMT+12",
    "Hawaiian": "Pacific/Honolulu",
    "Alaskan": "America/Anchorage",
    "Pacific": "America/Los_Angeles",
    "US Mountain": "America/Phoenix",
    "Mountain": "America/Denver",
    "Central America": "America/Guatemala",
    "Central": "America/Chicago",
    "Canada Central": "America/Regina",
    "SA Pacific": "America/Bogota",
    "Eastern": "America/New_York",
    "US Eastern": "America/Indiana/Indianapolis",
    "Venezuela": "America/Caracas",
    "Atlantic": "America/Halifax",
    "SA Western": "America/La_Paz",
    "Pacific SA": "America/Santiago",
    "Newfoundland": "America/St_Johns",
    "E. South America": "America/Sao_Paulo",
    "Argentina": "America/Argentina/Buenos_Aires",
    "SA Eastern": "America/Cayenne",
    "Greenland": "America/Nuuk",
    "Azores": "Atlantic/Azores",
    "GMT": "Europe/London",
    "Greenwich": "Atlantic/Reykjavik",
    "W. Europe": "Europe/Berlin",
    "Central Europe": "Europe/Budapest",
    "Romance": "Europe/Paris",
    "Central European": "Europe/Warsaw",
    "W. Central Africa": "Africa/Lagos",
    "Jordan": "Asia/Amman",
    "GTB": "Europe/Bucharest",
    "Egypt": "Africa/Cairo",
    "South Africa": "Africa/Johannesburg",
    "FLE": "Europe/Kyiv",
    "Israel": "Asia/Jerusalem",
    "Turkey": "Europe/Istanbul",
    "Arabic": "Asia/Baghdad",
    "Arab": "Asia/Riyadh",
    "Russian": "Europe/Moscow",
    "E. Africa": "Africa/Nairobi",
    "Iran": "Asia/Tehran",
    "Arabian": "Asia/Dubai",
    "Azerbaijan": "Asia/Baku",
    "Afghanistan": "Asia/Kabul",
    "West Asia": "Asia/Tashkent",
    "Pakistan": "Asia/Karachi",
    "India": "Asia/Kolkata",
    "Sri Lanka": "Asia/Colombo",
    "Nepal": "Asia/Kathmandu",
    "Central Asia": "Asia/Almaty",
    "Bangladesh": "Asia/Dhaka",
    "Myanmar": "Asia/Yangon",
    "SE Asia": "Asia/Bangkok",
    "China": "Asia/Shanghai",
    "Singapore": "Asia/Singapore",
    "W. Australia": "Australia/Perth",
    "Taipei": "Asia/Taipei",
    "Tokyo": "Asia/Tokyo",
    "Korea": "Asia/Seoul",
    "Cen. Australia": "Australia/Adelaide",
    "AUS Central": "Australia/Darwin",
    "E. Australia": "Australia/Brisbane",
    "AUS Eastern": "Australia/Sydney",
    "Tasmania": "Australia/Hobart",
    "New Zealand": "Pacific/Auckland",
    "Tonga": "Pacific/Tongatapu",
}


def zone_named(name: str) -> str:
    """The IANA name of the zone `name`. Raises BadParameter."""
    plain = name.strip()
    if plain in available_timezones():
        return plain
    found = _WINDOWS.get(plain.removesuffix(" Standard Time"))
    if found is None:
        raise BadParameter(
            f"{plain[:80]!r} is no time zone that is known here; give its IANA name, such as Europe/Paris or UTC."
        )
    return ZoneInfo(found).key

"""What goes wrong between a browser and the console."""

from headgate.errors.root import InvalidRequest

__all__ = ["CrossSite", "PageOutdated", "SignInFailed"]


class CrossSite(InvalidRequest):
    """The form was sent from another site. Open the page here and send it again."""

    status = 403
    code = "CONSOLE-SITE-403"
    title = "Not from here"


class PageOutdated(InvalidRequest):
    """The page is from before you signed in or changed the organisation. Load it again and repeat."""

    status = 403
    code = "CONSOLE-PAGE-403"
    title = "Page outdated"


class SignInFailed(InvalidRequest):
    """Signing in did not succeed."""

    status = 403
    code = "CONSOLE-SIGN-IN-403"
    title = "Not signed in"

"""The console: pages for people, rendered here, at the same address as the API and with no more rights than it gives.

A page is a function of a `Visit`. It calls the service just as the API does, so that whatever a page can do has an
address too, and names a template::

    # console/pages/flows.py; the module is listed in console/pages/__init__.py
    pages = Pages()

    @pages.get("/flows", needs=Permission.VIEW_SOURCES)
    def flows(visit: Visit) -> Response:
        found = visit.service.flows.listing(visit.caller, visit.listing("limit", "continuationToken"))
        return visit.page("flows/list.html", part="results", found=found)

    @pages.post("/flows/{id}/disable", needs=Permission.MANAGE_SOURCES)
    def disable(visit: Visit) -> Response:
        visit.service.flows.act(visit.caller, visit.of("id"), [("op", "disable")])
        return visit.go(f"/flows/{visit.of('id')}", said="The flow is disabled.")

and its template::

    {% extends "layout.html" %}
    {% block title %}Flows{% endblock %}
    {% block content %}
      {% call parts.head("Flows", "What is pulled from where.") %}<a role="button" href="/wizard">New</a>{% endcall %}
      <div id="results">{% block results %} … {{ parts.pager(found) }}{% endblock %}</div>
    {% endblock %}

What a page gets for that:

* The route is refused (403, and recorded) without the permission; who is not signed in is sent to sign in and back.
  `in_org=True` asks for the permission in the whole organisation and gives the caller of it, as the API does for
  addresses that are about no sandbox.
* Errors of our tree that a page lets through become an error page, or for htmx a message above the page, with their
  code, what was wrong and the request id. A form that wants to show an error beside its field catches it.
* `visit.page(template, part=name)` renders the whole page, and for a request of htmx the block `name` of it alone;
  macros and variables that the block uses stand inside it.
* Every `<form method="post">` begins with `{{ parts.guard() }}`: the CSRF token, and the sandbox that the page shows,
  in which the form then acts whatever another tab has chosen meanwhile. htmx sends both by itself.
* `parts.html` has the parts of pages: head, table, filters, pager, field, state, empty, confirm, when (a time in UTC
  and the reader's own), number, bytes, icon, copy. Filters with the same names are there too: `{{ 12345 | number }}`.
* No inline script, style attribute, `hx-on` or filter in `hx-trigger`: the policy forbids them. Scripts are files in
  `static/`, named by a page in its block `scripts`: `<script src="{{ static('flow.js') }}" defer></script>`.
* A handler may be `async` (for streams); it then calls the service by `visit.in_thread(function, …)`.

Tests: `tests/integration/test_console_*.py` ask for pages without a browser (fixture of `visitor.visiting()`), and
`tests/browser/test_*.py` judge each page in Chromium (`sight.judge("/flows")`) and act as a person does.
"""

from headgate.console.app import create_console

__all__ = ["create_console"]

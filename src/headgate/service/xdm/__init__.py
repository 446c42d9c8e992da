"""XDM, the model that schemas are written in: its documents, its built-in classes, and the forms they are shown in."""

from headgate.service.xdm.documents import (
    NAMESPACE,
    alt_id,
    check_fields,
    flattened,
    references,
    resolved,
    typed,
    without_text,
)
from headgate.service.xdm.forms import Form, form_asked
from headgate.service.xdm.standard import ADHOC, BEHAVIORS, CLASSES, RECORD, STANDARD

__all__ = [
    "ADHOC",
    "BEHAVIORS",
    "CLASSES",
    "NAMESPACE",
    "RECORD",
    "STANDARD",
    "Form",
    "alt_id",
    "check_fields",
    "flattened",
    "form_asked",
    "references",
    "resolved",
    "typed",
    "without_text",
]
